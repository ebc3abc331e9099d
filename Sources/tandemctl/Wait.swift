import ArgumentParser
import ClientOptions
import NIOCore
import TandemAPI
import TandemClient

struct Wait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Waits until Services, Nodes or Pods exist, are deleted, or have a value.",
        discussion: """
              tandemctl wait --for=create pod/a
              tandemctl wait --for=delete svc -l app=web --timeout=2m
              tandemctl wait --for=jsonpath='{.status.podIP}' pod/a
              tandemctl wait --for=jsonpath='{.spec.type}'=LoadBalancer svc/web

            Exit status 1 where the time is over before.
            """)

    enum Condition {
        case exists
        case gone
        /// Any value, where it is nil.
        case value(JSONPath, String?)

        init(argument: String) throws {
            let path = "jsonpath="
            switch argument {
            case "create": self = .exists
            case "delete": self = .gone
            case _ where argument.hasPrefix(path):
                let text = argument.dropFirst(path.count)
                // A value stands behind the path, in which there may be a = of its own.
                let end =
                    text.hasPrefix("{") ? text.firstIndex(of: "}").map(text.index(after:)) : text.firstIndex(of: "=")
                let rest = text[(end ?? text.endIndex)...]
                self = .value(
                    try JSONPath(String(text[..<(end ?? text.endIndex)])), rest.isEmpty ? nil : String(rest.dropFirst())
                )
            default: throw OutputFormat.Fault(description: "there are create, delete and jsonpath=PATH[=VALUE]")
            }
        }

        func holds(_ object: JSONValue?) -> Bool {
            switch self {
            case .exists: return object != nil
            case .gone: return object == nil
            case .value(let path, let value):
                guard let object, let found = try? path.values(in: object) else { return false }
                let texts = found.map(JSONPath.text)
                return value.map(texts.contains) ?? texts.contains { !$0.isEmpty }
            }
        }
    }

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var scope: Namespace
    @OptionGroup var filters: Filters

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp("create, delete or jsonpath=PATH[=VALUE].", valueName: "condition"),
        transform: Condition.init(argument:))
    var condition: Condition

    @Option(
        help: ArgumentHelp(
            "The longest time to wait, such as 30s or 2m; 0 checks once. (default: 30s)", valueName: "time"),
        transform: { text in
            guard let time = TimeAmount(durationText: text) else { throw UsageError("write, for example, 30s or 2m") }
            return time
        })
    var timeout: TimeAmount?

    @Argument(
        help: "A kind with names, or with -l; or kind/name.", completion: .custom(NameCompletion.complete))
    var resources: [String] = []

    func validate() throws {
        let selections = try Selection.parse(resources)
        try filters.check(selections)
        guard !selections.isEmpty else {
            throw ValidationError("Give the objects to wait for: a kind and names, or kind/name.")
        }
        for selection in selections {
            guard case .object = selection.kind else {
                throw ValidationError("Services, Nodes and Pods can be waited for; pools and servers can't.")
            }
            if selection.names.isEmpty, !filters.areGiven { throw ValidationError("Give names, or -l with labels.") }
        }
    }

    func run() async throws {
        let wanted = Wanted(try Selection.parse(resources), try scope.name(connection), filters, condition)
        let time = timeout ?? .seconds(30)
        let left = try await connection.use { client in
            try await withThrowingTaskGroup(of: [String]?.self) { group in
                group.addTask { try await wanted.wait(client, onlyOnce: time == .zero) }
                if time > .zero {
                    group.addTask {
                        try await Task.sleep(for: .nanoseconds(time.nanoseconds))
                        return nil
                    }
                }
                let first = try await group.next() ?? nil
                group.cancelAll()
                // Which are missing, the cancelled wait says.
                if let first { return first }
                return try await group.next().flatMap { $0 } ?? []
            }
        }
        guard let first = left.first else { return }
        let others = left.count > 1 ? " and \(left.count - 1) more" : ""
        throw Failure(
            status: Failure.refused, "error: timed out waiting for the condition on \(first)\(others)".visible)
    }
}

/// The objects that are waited for.
private struct Wanted: Sendable {
    let kinds: [ObjectKind]
    /// `pod/a`; empty where labels say which.
    let labels: [String]
    let namespace: String
    let filters: Filters
    let condition: Wait.Condition

    init(_ selections: [Selection], _ namespace: String, _ filters: Filters, _ condition: Wait.Condition) {
        var (kinds, labels): ([ObjectKind], [String]) = ([], [])
        for selection in selections {
            guard case .object(let kind) = selection.kind else { continue }
            kinds.append(kind)
            labels += selection.names.map { "\(kind.word)/\($0)" }
        }
        (self.kinds, self.labels) = (kinds, labels)
        (self.namespace, self.filters, self.condition) = (namespace, filters, condition)
    }

    /// Returns those for which the condition does not hold: none, unless it is cancelled or looks once.
    func wait(_ client: TandemClient, onlyOnce: Bool) async throws -> [String] {
        var params: JSONValue = ["kinds": .array(kinds.map { .string($0.rawValue) })]
        if kinds.allSatisfy(\.isNamespaced) { params["namespace"] = .string(namespace) }
        var live: [String: JSONValue] = [:]
        var left = labels
        var isListed = false
        for try await change in client.watch(params) {
            switch change {
            case .restarted: (live, isListed) = ([:], false)
            case .added(let object), .modified(let object): if let label = label(object) { live[label] = object }
            case .deleted(let object): if let label = label(object) { live[label] = nil }
            case .bookmark:
                guard !isListed else { break }
                isListed = true
                if filters.areGiven, left.isEmpty {
                    left = live.keys.sorted()
                    guard !left.isEmpty else {
                        if case .gone = condition { return [] }
                        throw Failure(status: Failure.refused, "error: no matching resources found")
                    }
                }
                try expectThere(left, live)
            }
            guard isListed else { continue }
            left.removeAll { label in
                guard condition.holds(live[label]) else { return false }
                print("\(label) condition met".visible)
                return true
            }
            if left.isEmpty || onlyOnce { return left }
        }
        return left
    }

    /// The object must exist, even without the value.
    private func expectThere(_ labels: [String], _ live: [String: JSONValue]) throws {
        guard case .value = condition, let missing = labels.first(where: { live[$0] == nil }) else { return }
        let parts = missing.split(separator: "/")
        throw APIError(.notFound, reason: "NotFound", "\(parts[0]) \"\(parts[1])\" not found")
    }

    /// nil for an object that is not waited for.
    private func label(_ object: JSONValue) -> String? {
        guard let kind = object["kind"]?.stringValue.flatMap(ObjectKind.init),
            !kind.isNamespaced || object["metadata"]?["namespace"]?.stringValue == namespace
        else { return nil }
        let label = "\(kind.word)/\(object.shownName)"
        return labels.isEmpty ? (filters.match(object) ? label : nil) : labels.contains(label) ? label : nil
    }
}
