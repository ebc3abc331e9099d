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

    /// The part of it that is patched.
    var patched: KubePart { if case .service = self { .status } else { .main } }

    var description: String { "\(name)" }

    /// Objects that show addresses that are not adopted yet come before all that may be assigned some: nodes, then Services, then pods on the nodes.
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
