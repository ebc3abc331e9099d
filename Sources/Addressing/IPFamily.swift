/// The two families of IP addresses, spelled as Kubernetes spells them in `spec.ipFamilies`.
public enum IPFamily: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case ipv4 = 4
    case ipv6 = 6

    /// The number of bits in an address of this family: 32 or 128.
    public var addressBits: Int { self == .ipv4 ? 32 : 128 }

    /// The family that rides along on a dual-stack cluster.
    public var other: IPFamily { self == .ipv4 ? .ipv6 : .ipv4 }
}

extension IPFamily: CustomStringConvertible, LosslessStringConvertible {
    /// Exactly `IPv4` or `IPv6`; case counts, as it does for kube-apiserver.
    public init?(_ description: String) {
        switch description {
        case "IPv4": self = .ipv4
        case "IPv6": self = .ipv6
        default: return nil
        }
    }

    public var description: String { self == .ipv4 ? "IPv4" : "IPv6" }
}
