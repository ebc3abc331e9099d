import Foundation
import TandemAPI

/// All that this program writes on standard output: nothing in it acts on a terminal, whatever its source. A value with line breaks
/// that is to be on one line goes through `visible` first. A tab can only be a template's own: values have none by then.
func print(_ text: String, terminator: String = "\n") {
    let parts = text.split(separator: "\t", omittingEmptySubsequences: false)
    Swift.print(parts.map { String($0).visibleLines }.joined(separator: "\t"), terminator: terminator)
}

/// Standard error, and tables and JSON as `kubectl` prints them.
enum Output {
    /// One line on standard error, whatever it quotes.
    static func complain(_ line: String) { complain(lines: line.visible) }

    /// The same of a text whose line breaks are this program's own.
    static func complain(lines: String) {
        FileHandle.standardError.write(Data((lines.visibleLines + "\n").utf8))
    }

    /// A line that the next one takes the place of, on a terminal; nothing clears it.
    static func showProgress(_ text: String = "") {
        FileHandle.standardError.write(Data(("\r\u{1B}[K" + text.visible).utf8))
    }

    /// Columns three spaces apart.
    static func table(_ titles: [String], _ rows: [[String]]) -> String {
        lines([titles] + rows, widths: widths([titles] + rows))
    }

    /// The widths that the columns of some lines need.
    static func widths(_ lines: [[String]]) -> [Int] {
        (lines.first ?? []).indices.map { column in lines.map { $0[column].visible.count }.max() ?? 0 }
    }

    /// Lines of a table whose columns have these widths at least.
    static func lines(_ lines: [[String]], widths: [Int]) -> String {
        lines.map { $0.map(\.visible) }.map { line in
            let cells = zip(line, widths).map { $0 + String(repeating: " ", count: max(0, $1 - $0.count) + 3) }.joined()
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
