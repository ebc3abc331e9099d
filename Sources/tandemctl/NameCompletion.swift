import ArgumentParser
import ClientOptions
import NIOCore
import TandemAPI
import TandemClient

/// Completions of a word of a command line: kinds, and names from the server.
enum NameCompletion {
    /// A shell waits no longer; a later answer is of no use.
    private static let patience = TimeAmount.seconds(2)
    private static let maximumCount = 1_000

    /// `words` are the whole command line; `prefix` is the part of the word before the cursor.
    @Sendable static func complete(_ words: [String], _ index: Int, _ prefix: String) async -> [String] {
        let line = words.prefix(index).dropFirst().filter { !$0.isEmpty }
        let before = resources(line)
        if let slash = prefix.firstIndex(of: "/") {
            guard let kind = Kind(argument: String(prefix[..<slash])) else { return [] }
            return await names(of: kind, line).map { "\(prefix[..<slash])/\($0)" }
        }
        guard let first = before.first else { return kinds(prefix) }
        let found = first.split(separator: ",").compactMap { Kind(argument: String($0)) }
        var all: [String] = []
        for kind in found { all += await names(of: kind, line) }
        return all.filter { !before.contains($0) }
    }

    /// The words that are neither verb nor flag nor a flag's value: `kubectl`'s resources.
    private static func resources(_ line: [String]) -> [String] {
        var found: [String] = []
        var isValue = false
        for word in line {
            defer { isValue = word.hasPrefix("-") && !word.contains("=") && !lone.contains(word) }
            if !isValue, !word.hasPrefix("-") { found.append(word) }
        }
        return Array(found.dropFirst())
    }

    private static let lone: Set = [
        "-A", "--all-namespaces", "-w", "--watch", "--no-headers", "--show-labels", "--all", "--force",
        "--ignore-not-found", "-R", "--recursive",
    ]

    /// Several stand with commas between.
    private static func kinds(_ prefix: String) -> [String] {
        let begun = prefix.lastIndex(of: ",").map { String(prefix[...$0]) } ?? ""
        return Kind.allValueStrings.map { begun + $0 }
    }

    private static func names(of kind: Kind, _ line: [String]) async -> [String] {
        guard let options = try? Options.parse(flags(line)), case .object(let kind) = kind else { return [] }
        do {
            var configuration = try options.connection.configuration()
            configuration.callTimeout = patience
            configuration.trace = nil
            let client = try await TandemClient.connect(configuration)
            var params: JSONValue = ["limit": .number("\(maximumCount)")]
            if kind.isNamespaced { params["namespace"] = .string(try options.scope.name(options.connection)) }
            let answer = try? await client.call(kind.listMethod, params)
            await client.close()
            return (answer?["items"]?.arrayValue ?? []).map(\.shownName.visible)
        } catch {
            return []
        }
    }

    private struct Options: ParsableArguments {
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var scope: Namespace
    }

    /// The flags for server, identity and namespace.
    private static func flags(_ line: [String]) -> [String] {
        let known = ["--server", "--ca-file", "--cert-file", "--key-file", "--context", "--namespace", "-n"]
        var found: [String] = []
        var isValue = false
        for word in line {
            let name = word.prefix { $0 != "=" }
            let isFlag = known.contains(String(name)) || word.hasPrefix("-n") && !word.hasPrefix("--")
            if isValue || isFlag { found.append(word) }
            isValue = !isValue && isFlag && name.count == word.count && (word.hasPrefix("--") || word == "-n")
        }
        return found
    }
}
