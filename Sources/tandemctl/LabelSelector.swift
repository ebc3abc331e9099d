import TandemAPI

/// `-l`: labels that an object has or has not, as `kubectl` writes them: `app=web,tier!=db,env in (a, b),env notin (c),app,!app`.
struct LabelSelector: Sendable {
    private struct Requirement {
        var name: String
        /// Any, where it is nil.
        var values: [String]?
        var isNegated = false

        /// A label that is not there differs from every value.
        func holds(_ labels: JSONValue?) -> Bool {
            let value = labels?[name]?.stringValue
            let isMet = if let values { value.map(values.contains) ?? false } else { value != nil }
            return isMet != isNegated
        }
    }

    private let requirements: [Requirement]

    func matches(_ object: JSONValue) -> Bool {
        let labels = object["metadata"]?["labels"]
        return requirements.allSatisfy { $0.holds(labels) }
    }

    /// Throws a `Fault`.
    init(_ text: String) throws(Fault) {
        var requirements: [Requirement] = []
        for part in Self.parts(text) { requirements.append(try Self.requirement(part.trimmed)) }
        self.requirements = requirements
    }

    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    /// At commas outside of parentheses.
    private static func parts(_ text: String) -> [Substring] {
        var depth = 0
        return text.split(omittingEmptySubsequences: false) { character in
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            return character == "," && depth == 0
        }
    }

    private static func requirement(_ text: Substring) throws(Fault) -> Requirement {
        for (word, isNegated) in [("!=", true), ("==", false), ("=", false)] {
            guard let place = text.firstRange(of: word) else { continue }
            return Requirement(
                name: try name(text[..<place.lowerBound], in: text),
                values: [String(text[place.upperBound...].trimmed)], isNegated: isNegated)
        }
        if let match = text.wholeMatch(of: /(.+?)\s+(in|notin)\s*\((.*)\)/) {
            return Requirement(
                name: try name(match.output.1, in: text),
                values: match.output.3.split(separator: ",").map { String($0.trimmed) },
                isNegated: match.output.2 == "notin")
        }
        let isNegated = text.hasPrefix("!")
        return Requirement(name: try name(text.dropFirst(isNegated ? 1 : 0), in: text), isNegated: isNegated)
    }

    private static func name(_ text: Substring, in requirement: Substring) throws(Fault) -> String {
        let name = text.trimmed
        guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || "-_./".contains($0) }) else {
            throw Fault(
                description:
                    "\"\(requirement)\" is no condition on a label; write app=web, app!=web, \"app in (a,b)\", app or !app"
            )
        }
        return String(name)
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        let end = lastIndex { !$0.isWhitespace }.map(index(after:)) ?? startIndex
        return self[..<end].drop(while: \.isWhitespace)
    }
}
