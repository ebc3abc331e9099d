import ArgumentParser
import TandemAPI

/// Objects as `kubectl` has them named: `svc`, `svc a b`, `svc,pods`, `svc/a pod/b`.
struct Selection: Equatable {
    var kind: Kind
    /// Empty for all.
    var names: [String]

    /// One for each kind, in the order in which they are named. Throws `ValidationError`.
    static func parse(_ words: [String]) throws -> [Selection] {
        guard let first = words.first else { return [] }
        guard first.contains("/") else {
            let kindWords = (first == "all" ? "service,pod" : first).split(
                separator: ",", omittingEmptySubsequences: false)
            let kinds = try kindWords.map { try kind($0) }
            let names = Array(words.dropFirst())
            if let name = names.first(where: { $0.contains("/") }) {
                throw ValidationError("\(name): after a kind come names; or write each as kind/name.")
            }
            return kinds.map { Selection(kind: $0, names: names) }
        }
        var selections: [Selection] = []
        for word in words {
            let parts = word.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[1].isEmpty else {
                throw ValidationError("\(word): write each as kind/name, such as svc/web.")
            }
            let kind = try kind(parts[0])
            if let place = selections.firstIndex(where: { $0.kind == kind }) {
                selections[place].names.append(String(parts[1]))
            } else {
                selections.append(Selection(kind: kind, names: [String(parts[1])]))
            }
        }
        return selections
    }

    /// Those that are named, where some are. Throws `APIError` for a name that none has.
    func pick(_ all: [JSONValue]) throws -> [JSONValue] {
        guard !names.isEmpty else { return all }
        return try names.map { name in
            guard let object = all.first(where: { $0.shownName == name }) else {
                throw APIError(.notFound, reason: "NotFound", "\(kind.word) \"\(name)\" not found")
            }
            return object
        }
    }

    private static func kind(_ word: Substring) throws -> Kind {
        guard let kind = Kind(argument: String(word)) else {
            let near = Kind.near(String(word)).map { "Did you mean \($0)? There" } ?? "There"
            throw ValidationError(
                "\"\(word)\" is no kind. \(near) are \(Kind.allValueStrings.joined(separator: ", ")), and kubectl's short forms."
            )
        }
        return kind
    }
}
