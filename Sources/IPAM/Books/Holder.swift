import TandemAPI

/// The object that holds an address.
enum Holder: Sendable {
    case service(StoredService)
    case pod(StoredPod)

    var owner: Owner {
        switch self {
        case .service(let service): service.owner
        case .pod(let pod): pod.owner
        }
    }

    /// For a person.
    var description: String {
        switch self {
        case .service(let service): "Service \(service.key)"
        case .pod(let pod): "Pod \(pod.nameKey) of Node \(pod.node.name)"
        }
    }
}
