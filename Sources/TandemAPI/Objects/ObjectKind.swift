/// The kinds of object that hold addresses. The value is its name in an object, an owner and an error: `Service`.
public enum ObjectKind: String, Sendable, CaseIterable {
    case service = "Service"
    case node = "Node"
    case pod = "Pod"

    /// As a member of `params` and of a result is named that holds one, and as it stands in a sentence: `service`.
    public var word: String {
        switch self {
        case .service: "service"
        case .node: "node"
        case .pod: "pod"
        }
    }

    public var isNamespaced: Bool { self != .node }
}
