import ClientOptions
import Foundation
import TandemAPI
import YAMLDocuments

/// Manifests as people write them: YAML or JSON, several documents, lists of objects.
enum Manifests {
    /// `-` stands for standard input.
    static func read(_ file: String) throws -> [JSONValue] {
        let text: String
        do {
            if file == "-" {
                let data = try FileHandle.standardInput.readToEnd() ?? Data()
                text = String(decoding: data, as: UTF8.self)
            } else {
                text = try String(contentsOfFile: file, encoding: .utf8)
            }
        } catch {
            throw UsageError("-f: \(file) can't be read: \(error.localizedDescription)")
        }
        return try parse(text, from: file)
    }

    static func parse(_ text: String, from file: String) throws -> [JSONValue] {
        let text = text.withoutByteOrderMark
        // JSON is read as JSON, so that numbers keep their digits.
        if let json = try? JSONValue(parsing: text) { return flatten(json) }
        do throws(YAMLFault) {
            return try YAMLDocuments.read(text).flatMap(flatten)
        } catch {
            throw UsageError("-f: \(file) is neither YAML nor JSON that can be read: \(error)")
        }
    }

    private static func flatten(_ document: JSONValue) -> [JSONValue] {
        if document == .null { return [] }
        if let items = document["items"]?.arrayValue, document["kind"]?.stringValue?.hasSuffix("List") ?? true {
            return items
        }
        return [document]
    }
}
