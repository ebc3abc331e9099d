import ArgumentParser
import TandemAPI

/// What can be got, under every name that `kubectl` knows it by.
enum Kind: ExpressibleByArgument {
    case object(ObjectKind)
    case pool

    init?(argument: String) {
        switch argument.lowercased() {
        case "service", "services", "svc": self = .object(.service)
        case "node", "nodes", "no": self = .object(.node)
        case "pod", "pods", "po": self = .object(.pod)
        case "pool", "pools": self = .pool
        default: return nil
        }
    }

    static var allValueStrings: [String] { ObjectKind.allCases.map(\.word) + ["pool"] }

    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }

    var isNamespaced: Bool {
        switch self {
        case .object(let kind): kind.isNamespaced
        case .pool: false
        }
    }

    var listMethod: TandemAPI.Method {
        switch self {
        case .object(.service): .listServices
        case .object(.node): .listNodes
        case .object(.pod): .listPods
        case .pool: .getPools
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

    /// `params` that name one object.
    func naming(_ name: String, in namespace: String) -> JSONValue {
        var metadata: JSONValue = ["name": .string(name)]
        if isNamespaced { metadata["namespace"] = .string(namespace) }
        return [word: ["metadata": metadata]]
    }
}

struct Namespace: ParsableArguments {
    @Option(name: .shortAndLong, help: "The namespace.")
    var namespace = "default"
}
