import ArgumentParser
import TandemAPI

/// What can be got, under every name that `kubectl` knows it by.
enum Kind: String, CaseIterable, ExpressibleByArgument {
    case service, node, pod, pool

    init?(argument: String) {
        switch argument.lowercased() {
        case "service", "services", "svc": self = .service
        case "node", "nodes", "no": self = .node
        case "pod", "pods", "po": self = .pod
        case "pool", "pools": self = .pool
        default: return nil
        }
    }

    var isNamespaced: Bool { self == .service || self == .pod }

    var getMethod: TandemAPI.Method? {
        switch self {
        case .service: .getService
        case .node: .getNode
        case .pod: .getPod
        case .pool: nil
        }
    }

    var listMethod: TandemAPI.Method {
        switch self {
        case .service: .listServices
        case .node: .listNodes
        case .pod: .listPods
        case .pool: .getPools
        }
    }

    /// `params` that name one object.
    func naming(_ name: String, in namespace: String) -> JSONValue {
        var metadata: JSONValue = ["name": .string(name)]
        if isNamespaced { metadata["namespace"] = .string(namespace) }
        return [rawValue: ["metadata": metadata]]
    }
}

struct Namespace: ParsableArguments {
    @Option(name: .shortAndLong, help: "The namespace.")
    var namespace = "default"
}
