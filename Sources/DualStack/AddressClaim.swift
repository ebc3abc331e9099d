public import Addressing

/// The kinds of range that a Service holds addresses of.
public enum ServicePool: Sendable, Hashable, BitwiseCopyable {
    case clusterIP
    case loadBalancer
    /// Cluster IPs that the cluster gave and Tandem records, where the server has no service range.
    case recordedClusterIP
}

/// An address that a Service must get.
public struct AddressClaim: Sendable, Hashable, BitwiseCopyable {
    public var pool: ServicePool
    public var family: IPFamily
    /// Exactly this one; nil for any of the family.
    public var requested: IPAddress?
    /// Where `requested` was asked for; nil for the pool's own field.
    var field: Field?
    /// Where in `spec.clusterIPs` the address belongs; nil for one of the load balancer. Those with a place come first.
    var place: Int?
    /// Where there is no room the Service does without this address, as long as it gets another.
    public var isOptional = false

    /// A member that asks for an address of the load balancer.
    enum Field: Hashable, Sendable, CustomStringConvertible {
        case loadBalancerIP
        /// By its place among those that are looked for.
        case annotation(Int)
        case ingress(Int)

        /// The annotations that ask for addresses, a comma between two: the first that there is counts.
        static let annotations = ["metallb.io/loadBalancerIPs", "lbipam.cilium.io/ips"]

        var description: String {
            switch self {
            case .loadBalancerIP: "spec.loadBalancerIP"
            case .annotation(let place): "metadata.annotations[\(Self.annotations[place])]"
            case .ingress(let place): "status.loadBalancer.ingress[\(place)].ip"
            }
        }
    }
}

/// Why an address that was asked for can't be had.
public enum ClaimFailure: Sendable, Hashable {
    case taken
    /// Not in the range, or one of those in it that are not handed out.
    case outOfRange
}

/// An address that a Service holds, and the kind of range it is of.
public struct ServiceHolding: Sendable, Hashable, BitwiseCopyable {
    public var pool: ServicePool
    public var address: IPAddress

    public init(_ pool: ServicePool, _ address: IPAddress) {
        self.pool = pool
        self.address = address
    }
}
