import ClientOptions
import Foundation
import TandemAPI
import YAMLDocuments

/// Manifests as people write them: YAML or JSON, several documents, lists of objects.
enum Manifests {
    /// `-` stands for standard input.
    static func read(_ file: String) throws -> [JSONValue] {
        let bytes: [UInt8]
        do {
            let data =
                file == "-"
                ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: file))
            bytes = Array(data)
        } catch {
            throw UsageError("-f: \(file) can't be read: \(error.localizedDescription)")
        }
        do throws(YAMLFault) {
            return try YAMLDocuments.read(bytes).flatMap(flatten)
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
