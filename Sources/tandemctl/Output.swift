import Foundation
import TandemAPI

/// Tables and JSON as `kubectl` prints them.
enum Output {
    /// On standard error.
    static func complain(_ text: String, terminator: String = "\n") {
        FileHandle.standardError.write(Data((text + terminator).utf8))
    }

    /// Columns three spaces apart.
    static func table(_ titles: [String], _ rows: [[String]]) -> String {
        let lines = [titles] + rows
        let widths = titles.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let cells = zip(line, widths).map { $0 + String(repeating: " ", count: $1 - $0.count + 3) }.joined()
            return String(cells[..<(cells.lastIndex { $0 != " " }.map(cells.index(after:)) ?? cells.startIndex)]) + "\n"
        }.joined()
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
