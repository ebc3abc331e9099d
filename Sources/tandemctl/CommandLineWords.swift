import ArgumentParser
import ClientOptions
import TandemAPI

/// A command line as `kubectl`'s users write it, translated for the argument parser.
enum CommandLineWords {
    /// Flags with a value that may stand before the verb, as in `tandemctl --server a:8443 get pods`: the parser wants them behind
    /// the verbs.
    private static let withValue: Set = [
        "--server", "--ca-file", "--cert-file", "--key-file", "--context", "--request-timeout", "-v", "--v",
        "--namespace", "-n", "--output", "-o",
    ]

    /// Throws `Failure` for a verb that there is not, with the one that is near.
    static func arranged(_ words: [String], for root: any ParsableCommand.Type) throws -> [String] {
        // A shell's requests for completions are the parser's own.
        guard words.first != "---completion" else { return words }
        let words = behindVerbs(words.flatMap(apart))
        try check(words[...], root, [root._commandName])
        // kubectl's flag takes its value behind a =, and may have none.
        return words.map { $0 == "--dry-run" ? "--dry-run=server" : $0 }
    }

    /// `-nshop`, `-o=yaml` and `-lapp=web` as two words each.
    private static func apart(_ word: String) -> [String] {
        let flag = word.prefix(2)
        guard withJoinedValue.contains(String(flag)), word.count > 2 else { return [word] }
        let value = word.dropFirst(2)
        return [String(flag), String(value.first == "=" ? value.dropFirst() : value)]
    }

    private static let withJoinedValue: Set = ["-f", "-l", "-n", "-o", "-v"]

    private static func behindVerbs(_ words: [String]) -> [String] {
        var end = 0
        while end < words.count, words[end].hasPrefix("-"), words[end] != "-" {
            end += withValue.contains(words[end]) ? 2 : 1
        }
        guard end > 0, end < words.count else { return words }
        let last = words[end...].firstIndex(of: "--") ?? words.count
        return Array(words[end..<last] + words[..<end] + words[last...])
    }

    private static func check(
        _ words: ArraySlice<String>, _ command: any ParsableCommand.Type, _ path: [String]
    ) throws {
        let verbs = command.configuration.subcommands
        guard let word = words.first, !word.hasPrefix("-"), word != "help", !verbs.isEmpty else { return }
        if let verb = verbs.first(where: { $0._commandName == word || $0.configuration.aliases.contains(word) }) {
            return try check(words.dropFirst(), verb, path + [word])
        }
        let names = verbs.map { $0._commandName }
        let meant = foreign[word].flatMap { names.contains($0) ? $0 : nil } ?? word.nearest(of: names)
        let place = path.joined(separator: " ")
        throw Failure(
            status: Failure.wrongUsage,
            "error: unknown command \"\(word.visible)\" for \"\(place)\"; "
                + (meant.map { "did you mean \"\(place) \($0)\"?" } ?? "there are \(names.joined(separator: ", "))"))
    }

    /// Verbs of other programs.
    private static let foreign = [
        "create": "apply", "replace": "apply", "patch": "edit", "list": "get", "ls": "get", "show": "describe",
        "rm": "delete", "release": "delete", "whoami": "auth", "can-i": "whoami", "who": "lookup", "status": "health",
        "get-context": "get-contexts",
    ]
}
