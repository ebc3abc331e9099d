import KubeAPI

/// An object that is looked after.
enum ObjectKey: Sendable, Hashable, CustomStringConvertible {
    case node(String)
    case service(String, String)
    case pod(String, String)

    var part: ControllerSettings.Part {
        switch self {
        case .node: .node
        case .service: .loadbalancer
        case .pod: .pod
        }
    }

    var kind: String {
        switch self {
        case .node: "Node"
        case .service: "Service"
        case .pod: "Pod"
        }
    }

    var name: KubeObjectName {
        switch self {
        case .node(let name): .node(name)
        case .service(let namespace, let name): .service(namespace, name)
        case .pod(let namespace, let name): .pod(namespace, name)
        }
    }

    /// What is patched of it.
    var patched: KubePart { if case .service = self { .status } else { .main } }

    var description: String { "\(name)" }

    /// What shows addresses that are not taken in yet comes before all that may be given some: nodes, then Services, then pods on the nodes.
    var adoptionRank: Int {
        switch self {
        case .node: 0
        case .service: 1
        case .pod: 2
        }
    }

    static let ranks = 4
    static let lastRank = 3
}
