import TandemAPI

/// A template as `kubectl -o jsonpath` takes it: text, and in braces paths, quoted strings and `range … end`.
///
/// A path without a result gives no text. Bounded: a template has `maximumBytes` at most, and looks at `maximumValues` values.
struct JSONPath: Sendable {
    static let maximumBytes = 4_096
    static let maximumValues = 1_000_000
    /// How deep ranges, and filters, lie in one another.
    static let maximumDepth = 16

    struct Path: Sendable {
        /// From the whole document rather than from the value of the range around it.
        var isFromRoot = false
        var steps: [Step] = []
    }

    indirect enum Step: Sendable {
        case member(String)
        /// From the end where it is negative.
        case element(Int)
        case slice(from: Int?, to: Int?, by: Int)
        case all
        /// The value and all that is in it, at every depth.
        case descendants
        case union([Step])
        case filter(Operand, Comparison?)
    }

    enum Operand: Sendable {
        case path(Path)
        case value(JSONValue)
    }

    struct Comparison: Sendable {
        var word: String
        var right: Operand
    }

    indirect enum Part: Sendable {
        case text(String)
        case path(Path)
        case range(Path, [Part])
    }

    /// The template asks for more than is looked at.
    struct TooMuch: Error, CustomStringConvertible {
        var description: String { "the template looks at more than \(JSONPath.maximumValues) values" }
    }

    let parts: [Part]

    /// The text for a document.
    func text(of document: JSONValue) throws(TooMuch) -> String {
        var evaluation = Evaluation(root: document)
        try evaluation.write(parts, at: document)
        return evaluation.text
    }

    /// The values of its paths, without the text between.
    func values(in document: JSONValue) throws(TooMuch) -> [JSONValue] {
        var evaluation = Evaluation(root: document)
        var found: [JSONValue] = []
        for case .path(let path) in parts { found += try evaluation.find(path, from: document) }
        return found
    }

    /// As a template writes a value: strings without quotes, objects and arrays as JSON. Nothing in it acts on a terminal.
    static func text(of value: JSONValue) -> String {
        switch value {
        case .string(let text): text.visibleLines
        case .null: ""
        default: value.text.description
        }
    }
}

private struct Evaluation {
    let root: JSONValue
    var text = ""
    private var left = JSONPath.maximumValues

    init(root: JSONValue) { self.root = root }

    mutating func write(_ parts: [JSONPath.Part], at value: JSONValue) throws(JSONPath.TooMuch) {
        for part in parts {
            switch part {
            case .text(let literal): text += literal
            case .path(let path):
                text += try find(path, from: value).map(JSONPath.text).joined(separator: " ")
            case .range(let path, let body):
                for element in try find(path, from: value) { try write(body, at: element) }
            }
        }
    }

    mutating func find(_ path: JSONPath.Path, from value: JSONValue) throws(JSONPath.TooMuch) -> [JSONValue] {
        var values = [path.isFromRoot ? root : value]
        for step in path.steps {
            var next: [JSONValue] = []
            for value in values { next += try take(step, of: value) }
            values = next
        }
        return values
    }

    private mutating func take(_ step: JSONPath.Step, of value: JSONValue) throws(JSONPath.TooMuch) -> [JSONValue] {
        let found: [JSONValue]
        switch step {
        case .member(let name): found = value[name].map { [$0] } ?? []
        case .element(let index):
            let elements = value.arrayValue ?? []
            let place = index < 0 ? elements.count + index : index
            found = elements.indices.contains(place) ? [elements[place]] : []
        case .slice(let from, let to, let by): found = Self.slice(value.arrayValue ?? [], from, to, by)
        case .all: found = Self.children(of: value)
        case .descendants:
            var all = [value]
            for child in Self.children(of: value) { all += try take(.descendants, of: child) }
            found = all
        case .union(let steps):
            var all: [JSONValue] = []
            for step in steps { all += try take(step, of: value) }
            found = all
        case .filter(let operand, let comparison):
            var all: [JSONValue] = []
            for element in value.arrayValue ?? [] where try holds(operand, comparison, for: element) {
                all.append(element)
            }
            found = all
        }
        left -= found.count + 1
        guard left > 0 else { throw JSONPath.TooMuch() }
        return found
    }

    private static func children(of value: JSONValue) -> [JSONValue] {
        value.arrayValue ?? value.objectValue?.members.map(\.value) ?? []
    }

    private static func slice(_ elements: [JSONValue], _ from: Int?, _ to: Int?, _ by: Int) -> [JSONValue] {
        func place(_ index: Int) -> Int { max(0, min(elements.count, index < 0 ? elements.count + index : index)) }
        let (start, end) = (place(from ?? 0), place(to ?? elements.count))
        return stride(from: start, to: max(start, end), by: by).map { elements[$0] }
    }

    private mutating func holds(
        _ operand: JSONPath.Operand, _ comparison: JSONPath.Comparison?, for element: JSONValue
    ) throws(JSONPath.TooMuch) -> Bool {
        let left = try value(of: operand, at: element)
        guard let comparison else { return left != nil }
        guard let left, let right = try value(of: comparison.right, at: element) else { return false }
        switch comparison.word {
        case "==": return left == right
        case "!=": return left != right
        default:
            guard let order = Self.order(left, right) else { return false }
            switch comparison.word {
            case "<": return order < 0
            case "<=": return order <= 0
            case ">": return order > 0
            default: return order >= 0
            }
        }
    }

    private mutating func value(
        of operand: JSONPath.Operand, at element: JSONValue
    ) throws(JSONPath.TooMuch) -> JSONValue? {
        switch operand {
        case .value(let value): value
        case .path(let path): try find(path, from: element).first
        }
    }

    /// nil where they are not of one kind that has an order.
    private static func order(_ left: JSONValue, _ right: JSONValue) -> Int? {
        switch (left, right) {
        case (.number(let left), .number(let right)):
            guard let left = Double(left), let right = Double(right) else { return nil }
            return left < right ? -1 : left > right ? 1 : 0
        case (.string(let left), .string(let right)): return left < right ? -1 : left > right ? 1 : 0
        default: return nil
        }
    }
}
