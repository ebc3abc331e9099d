import ClientOptions
import Foundation
import TandemAPI
import Yams

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
        // JSON is read as JSON, so that numbers keep their digits.
        if let json = try? JSONValue(parsing: text) { return flatten(json) }
        do {
            var documents = try Yams.compose_all(yaml: text)
            var objects: [JSONValue] = []
            while let document = documents.next() { objects += flatten(try JSONValue(yaml: document)) }
            // The sequence ends at a fault, and keeps it.
            if let error = documents.error { throw error }
            return objects
        } catch let error as UsageError {
            throw error
        } catch {
            throw UsageError("-f: \(file) is neither YAML nor JSON: \(error)")
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

extension JSONValue {
    init(yaml node: Yams.Node) throws {
        switch node {
        case .scalar(let scalar): self = try JSONValue(yaml: node, scalar)
        case .sequence(let elements): self = .array(try elements.map { try JSONValue(yaml: $0) })
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, value) in mapping {
                guard let name = key.string else {
                    throw UsageError("-f: a key that is no text at line \(key.line)")
                }
                object[name] = try JSONValue(yaml: value)
            }
            self = .object(object)
        case .alias: throw UsageError("-f: an alias that leads nowhere at line \(node.line)")
        }
    }

    private init(yaml node: Yams.Node, _ scalar: Yams.Node.Scalar) throws {
        switch node.tag {
        case Tag(.null): self = .null
        case Tag(.bool): self = .bool(node.bool ?? false)
        case Tag(.int):
            // As it stands, if JSON writes it so too.
            let isPlain = (try? JSONValue(parsing: scalar.string)) != nil
            self = .number(isPlain ? scalar.string : String(node.int ?? 0))
        case Tag(.float):
            guard (try? JSONValue(parsing: scalar.string)) != nil || node.float?.isFinite == true else {
                throw UsageError("-f: JSON has no number like \(scalar.string), line \(node.line)")
            }
            let isPlain = (try? JSONValue(parsing: scalar.string)) != nil
            self = .number(isPlain ? scalar.string : "\(node.float ?? 0)")
        default: self = .string(scalar.string)
        }
    }
}

extension Yams.Node {
    fileprivate var line: Int { mark?.line ?? 0 }
}
