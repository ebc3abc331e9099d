import ClientOptions
import TandemAPI
import YAMLDocuments

/// `-o`, as `kubectl` has it.
enum OutputFormat: Sendable {
    case table
    case wide
    case name
    case yaml
    case json
    case jsonPath(JSONPath)
    case customColumns([Column])

    static let help = "table, wide, name, yaml, json, jsonpath=TEMPLATE or custom-columns=TITLE:PATH,..."
    static let words = ["table", "wide", "name", "yaml", "json", "jsonpath=", "custom-columns="]

    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    init(argument: String) throws {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        switch (argument, parts[0], parts.dropFirst().first) {
        case ("table", _, _): self = .table
        case ("wide", _, _): self = .wide
        case ("name", _, _): self = .name
        case ("yaml", _, _): self = .yaml
        case ("json", _, _): self = .json
        case (_, "jsonpath", let template?) where !template.isEmpty: self = .jsonPath(try JSONPath(String(template)))
        case (_, "custom-columns", let columns?) where !columns.isEmpty:
            self = .customColumns(try Self.columns(columns))
        default: throw Fault(description: "there are \(Self.help)")
        }
    }

    private static func columns(_ text: Substring) throws -> [Column] {
        try text.split(separator: ",").map { column in
            let parts = column.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { throw Fault(description: "\"\(column)\" is no TITLE:PATH") }
            let path = try JSONPath(String(parts[1]))
            return Column(title: String(parts[0])) { object in
                let found = (try? path.values(in: object)) ?? []
                let texts = found.flatMap { $0.arrayValue ?? [$0] }.map(JSONPath.text)
                return texts.isEmpty ? "<none>" : texts.joined(separator: ",")
            }
        }
    }

    /// A document as this format has it; nil where it is a table's to show.
    func text(of document: JSONValue, named names: [String]) throws -> String? {
        switch self {
        case .table, .wide, .customColumns: return nil
        case .name: return names.map { "\($0.visible)\n" }.joined()
        case .yaml: return YAMLDocuments.write(document)
        case .json: return Output.json(document) + "\n"
        case .jsonPath(let path):
            do {
                return try path.text(of: document)
            } catch {
                throw Failure(status: Failure.refused, "error: -o jsonpath: \(error)")
            }
        }
    }

    var isWide: Bool { if case .wide = self { true } else { false } }
}
