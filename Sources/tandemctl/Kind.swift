import ArgumentParser
import TandemAPI

/// The kinds of `get`, under every name of `kubectl`.
enum Kind: ExpressibleByArgument, Equatable {
    case object(ObjectKind)
    case pool
    case server

    init?(argument: String) {
        guard let kind = Self.names[argument.lowercased()] else { return nil }
        self = kind
    }

    private static let names: [String: Kind] = [
        "service": .object(.service), "services": .object(.service), "svc": .object(.service),
        "node": .object(.node), "nodes": .object(.node), "no": .object(.node),
        "pod": .object(.pod), "pods": .object(.pod), "po": .object(.pod),
        "pool": .pool, "pools": .pool, "server": .server, "servers": .server,
    ]

    /// The name that a word was probably meant to be.
    static func near(_ word: String) -> String? { word.lowercased().nearest(of: names.keys) }

    static var allValueStrings: [String] { ObjectKind.allCases.map(\.word) + ["pool", "server"] }

    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }

    /// As a sentence and `-o name` have it.
    var word: String {
        switch self {
        case .object(let kind): kind.word
        case .pool: "pool"
        case .server: "server"
        }
    }

    var isNamespaced: Bool {
        switch self {
        case .object(let kind): kind.isNamespaced
        case .pool, .server: false
        }
    }
}

extension ObjectKind {
    var getMethod: TandemAPI.Method {
        switch self {
        case .service: .getService
        case .node: .getNode
        case .pod: .getPod
        }
    }

    var listMethod: TandemAPI.Method {
        switch self {
        case .service: .listServices
        case .node: .listNodes
        case .pod: .listPods
        }
    }

    /// `params` that name one object.
    func naming(_ name: String, in namespace: String) -> JSONValue {
        var metadata: JSONValue = ["name": .string(name)]
        if isNamespaced { metadata["namespace"] = .string(namespace) }
        return [word: ["metadata": metadata]]
    }
}
