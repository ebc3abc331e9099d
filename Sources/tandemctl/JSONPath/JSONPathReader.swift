import TandemAPI

/// Why a template can't be read; a sentence without a full stop.
struct JSONPathFault: Error, CustomStringConvertible {
    let description: String
}

extension JSONPath {
    /// Reads a template; one without braces is a path, as `.metadata.name`.
    init(_ template: String) throws(JSONPathFault) {
        guard template.utf8.count <= Self.maximumBytes else {
            throw JSONPathFault(description: "a template has at most \(Self.maximumBytes) bytes")
        }
        var reader = JSONPathReader(template.contains("{") ? template : "{\(template)}")
        parts = try reader.template()
    }
}

private struct JSONPathReader {
    private let text: [Character]
    private var position = 0
    private var depth = 0

    init(_ text: String) { self.text = Array(text) }

    private var next: Character? { position < text.count ? text[position] : nil }

    private mutating func take(_ word: String) -> Bool {
        guard text[position...].starts(with: word) else { return false }
        position += word.count
        return true
    }

    private mutating func skipSpaces() { while next?.isWhitespace == true { position += 1 } }

    private func fault(_ problem: String) -> JSONPathFault {
        JSONPathFault(description: "\(problem) at \"\(String(text[position...].prefix(24)))\"")
    }

    mutating func template() throws(JSONPathFault) -> [JSONPath.Part] {
        let parts = try parts(inRange: false)
        guard next == nil else { throw fault("an {end} without its {range}") }
        return parts
    }

    /// Up to the end, or to the `{end}` of a range, which is left for the caller.
    private mutating func parts(inRange: Bool) throws(JSONPathFault) -> [JSONPath.Part] {
        depth += 1
        defer { depth -= 1 }
        guard depth <= JSONPath.maximumDepth else {
            throw fault("more than \(JSONPath.maximumDepth) ranges in one another")
        }
        var parts: [JSONPath.Part] = []
        var literal = ""
        func flush() {
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = ""
        }
        while let character = next {
            guard character == "{" else {
                literal.append(character)
                position += 1
                continue
            }
            flush()
            let start = position
            position += 1
            skipSpaces()
            if takeKeyword("end") {
                position = start
                return parts
            }
            if takeKeyword("range") {
                skipSpaces()
                let path = try path()
                try close()
                parts.append(.range(path, try self.parts(inRange: true)))
                guard take("{") else { throw fault("a {range} without its {end}") }
                skipSpaces()
                guard takeKeyword("end") else { throw fault("a {range} without its {end}") }
                try close()
                continue
            }
            while let next, next != "}" {
                if next == "\"" || next == "'" {
                    parts.append(.text(try quoted()))
                } else {
                    parts.append(.path(try path()))
                }
                skipSpaces()
            }
            try close()
        }
        flush()
        if inRange { throw fault("a {range} without its {end}") }
        return parts
    }

    private mutating func takeKeyword(_ word: String) -> Bool {
        let start = position
        guard take(word), next.map({ !$0.isLetter && !$0.isNumber }) ?? true else {
            position = start
            return false
        }
        return true
    }

    private mutating func close() throws(JSONPathFault) {
        skipSpaces()
        guard take("}") else { throw fault("no } where one should be") }
    }

    private mutating func quoted() throws(JSONPathFault) -> String {
        guard let quote = next else { throw fault("no string where one should be") }
        position += 1
        var string = ""
        while let character = next {
            position += 1
            if character == quote { return string }
            guard character == "\\", let escaped = next else {
                string.append(character)
                continue
            }
            position += 1
            string.append(escaped == "n" ? "\n" : escaped == "t" ? "\t" : escaped == "r" ? "\r" : escaped)
        }
        throw fault("a string without its end")
    }

    private mutating func path() throws(JSONPathFault) -> JSONPath.Path {
        var path = JSONPath.Path()
        if take("$") { path.isFromRoot = true } else { _ = take("@") }
        let start = position
        while let character = next {
            if take("..") {
                path.steps.append(.descendants)
                if next != "[" { path.steps.append(try name()) }
            } else if take(".") {
                // `.` alone is the value itself, and `.[0]` is `[0]`.
                if let next, Self.isName(next) || next == "*" { path.steps.append(try name()) }
            } else if character == "[" {
                path.steps.append(try brackets())
            } else if position == start, Self.isName(character), !path.isFromRoot {
                path.steps.append(try name())
            } else {
                break
            }
        }
        guard position > start || path.isFromRoot || text[..<position].last == "@" else {
            throw fault("no path where one should be")
        }
        return path
    }

    private static func isName(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "_-\\/".contains(character)
    }

    private mutating func name() throws(JSONPathFault) -> JSONPath.Step {
        if take("*") { return .all }
        var name = ""
        while let character = next, Self.isName(character) {
            position += 1
            if character == "\\", let escaped = next {
                position += 1
                name.append(escaped)
            } else {
                name.append(character)
            }
        }
        guard !name.isEmpty else { throw fault("no name where one should be") }
        return .member(name)
    }

    private mutating func brackets() throws(JSONPathFault) -> JSONPath.Step {
        position += 1
        skipSpaces()
        if take("?(") {
            let filter = try filter()
            skipSpaces()
            guard take(")") else { throw fault("no ) where one should be") }
            skipSpaces()
            guard take("]") else { throw fault("no ] where one should be") }
            return filter
        }
        var steps: [JSONPath.Step] = []
        repeat {
            skipSpaces()
            if take("*") {
                steps.append(.all)
            } else if next == "'" || next == "\"" {
                steps.append(.member(try quoted()))
            } else {
                steps.append(try elements())
            }
            skipSpaces()
        } while take(",")
        guard take("]") else { throw fault("no ] where one should be") }
        return steps.count == 1 ? steps[0] : .union(steps)
    }

    private mutating func elements() throws(JSONPathFault) -> JSONPath.Step {
        let from = integer()
        guard take(":") else {
            guard let from else { throw fault("no index, name or * where one should be") }
            return .element(from)
        }
        let to = integer()
        let by = take(":") ? integer() ?? 1 : 1
        guard by > 0 else { throw fault("a step must be 1 or more") }
        return .slice(from: from, to: to, by: by)
    }

    private mutating func integer() -> Int? {
        var digits = ""
        if next == "-" { digits = "-" }
        while let character = text.dropFirst(position + digits.count).first, character.isASCII, character.isNumber {
            digits.append(character)
        }
        guard let number = Int(digits) else { return nil }
        position += digits.count
        return number
    }

    private mutating func filter() throws(JSONPathFault) -> JSONPath.Step {
        depth += 1
        defer { depth -= 1 }
        guard depth <= JSONPath.maximumDepth else {
            throw fault("more than \(JSONPath.maximumDepth) filters in one another")
        }
        let left = try operand()
        skipSpaces()
        for word in ["==", "!=", "<=", ">=", "<", ">"] where take(word) {
            return .filter(left, JSONPath.Comparison(word: word, right: try operand()))
        }
        return .filter(left, nil)
    }

    private mutating func operand() throws(JSONPathFault) -> JSONPath.Operand {
        skipSpaces()
        if next == "\"" || next == "'" { return .value(.string(try quoted())) }
        if take("true") { return .value(true) }
        if take("false") { return .value(false) }
        let digits = String(text[position...].prefix { $0.isASCII && ($0.isNumber || $0 == "-" || $0 == ".") })
        if digits.first != ".", Double(digits) != nil {
            position += digits.count
            return .value(.number(digits))
        }
        guard let next, "@$.".contains(next) else { throw fault("no @.member, number or string in quotes") }
        return .path(try path())
    }
}
