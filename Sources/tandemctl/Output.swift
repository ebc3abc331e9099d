import Foundation
import TandemAPI
import Yams

/// Tables, YAML and JSON as `kubectl` prints them.
enum Output {
    static func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    /// Columns three spaces apart.
    static func table(_ titles: [String], _ rows: [[String]]) -> String {
        let lines = [titles] + rows
        let widths = titles.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let cells = zip(line, widths).map { $0 + String(repeating: " ", count: $1 - $0.count + 3) }.joined()
            return String(cells[..<(cells.lastIndex { $0 != " " }.map(cells.index(after:)) ?? cells.startIndex)]) + "\n"
        }.joined()
    }

    /// Members in alphabetical order, as kubectl does.
    static func yaml(_ value: JSONValue) -> String {
        (try? Yams.serialize(node: node(value), width: -1, allowUnicode: true, sortKeys: true)) ?? ""
    }

    private static func node(_ value: JSONValue) -> Yams.Node {
        switch value {
        case .null: return Node("null", Tag(.null))
        case .bool(let flag): return Node(flag ? "true" : "false", Tag(.bool))
        case .number(let digits): return Node(digits, Tag(.int))
        case .string(let text):
            // What a reader would take for a number, a date or a flag is put in quotes.
            let isText = Resolver.default.resolveTag(of: Node(text)) == .str && !text.isEmpty
            return Node(text, Tag(.str), isText ? .any : .doubleQuoted)
        case .array(let elements):
            return Node.sequence(Node.Sequence(elements.map(node), Tag(.seq), elements.isEmpty ? .flow : .block))
        case .object(let object):
            let pairs = object.members.map { (Node($0.name), node($0.value)) }
            return Node.mapping(Node.Mapping(pairs, Tag(.map), pairs.isEmpty ? .flow : .block))
        }
    }

    /// Indented by four spaces, members in alphabetical order.
    static func json(_ value: JSONValue, indent: Int = 0) -> String {
        let (inner, outer) = (String(repeating: " ", count: indent + 4), String(repeating: " ", count: indent))
        switch value {
        case .array(let elements) where !elements.isEmpty:
            let lines = elements.map { inner + json($0, indent: indent + 4) }
            return "[\n\(lines.joined(separator: ",\n"))\n\(outer)]"
        case .object(let object) where !object.members.isEmpty:
            let lines = object.members.sorted(by: { $0.name < $1.name }).map { member in
                "\(inner)\(JSONValue.string(member.name).text): \(json(member.value, indent: indent + 4))"
            }
            return "{\n\(lines.joined(separator: ",\n"))\n\(outer)}"
        default: return value.text.description
        }
    }
}
