import ArgumentParser
import TandemAPI

/// What can be got, under every name that `kubectl` knows it by.
enum Kind: ExpressibleByArgument, Equatable {
    case object(ObjectKind)
    case pool
    case server

    init?(argument: String) {
        switch argument.lowercased() {
        case "service", "services", "svc": self = .object(.service)
        case "node", "nodes", "no": self = .object(.node)
        case "pod", "pods", "po": self = .object(.pod)
        case "pool", "pools": self = .pool
        case "server", "servers": self = .server
        default: return nil
        }
    }

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

struct Namespace: ParsableArguments {
    @Option(name: [.customShort("n", allowingJoined: true), .long], help: "The namespace.")
    var namespace = "default"
}
