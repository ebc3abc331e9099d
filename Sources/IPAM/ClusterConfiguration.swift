public import Addressing
import DualStack

/// The ranges that a cluster hands addresses out of, as the flags name them. Thread-safe as a value.
public struct ClusterConfiguration: Sendable, Equatable {
    /// `--service-cluster-ip-range`: none to two, of different families; the first is the default family. Without one, cluster IPs are the
    /// cluster's own to give, and are recorded as they come.
    public var serviceRanges: [CIDR]
    /// `--cluster-cidr`: any number, of one or both families; the family of the first is the default. Nodes take from the
    /// first of a family that has room.
    public var clusterCIDRs: [CIDR]
    /// `--load-balancer-ip-range`: any number, of one or both families. Services take from the first of a family that has room.
    public var loadBalancerRanges: [AddressRange]
    /// `--load-balancer-class`: Services with this `spec.loadBalancerClass` get load-balancer addresses; nil for none.
    public var loadBalancerClass: String?
    /// `--load-balancer-default`: Services without a class get load-balancer addresses.
    public var servesUnclassedLoadBalancers: Bool
    /// `--service-node-port-range`, both ends in it, without port 0; nil where node ports are not handed out.
    public var nodePortRange: ClosedRange<UInt16>?
    /// `--node-cidr-mask-size-ipv4`: the prefix length of a node's IPv4 CIDR.
    public var nodeMaskSizeIPv4: Int
    /// `--node-cidr-mask-size-ipv6`.
    public var nodeMaskSizeIPv6: Int
    /// `--auto-register-nodes`: a pod's node gets its CIDRs with its first pod.
    public var autoRegisterNodes: Bool
    /// `--pod-ip-reuse-delay`: how long an address that a pod gave back is not given out again, in seconds; 0 for not at all.
    public var podIPReuseDelaySeconds: Int

    public init(
        serviceRanges: [CIDR] = [], clusterCIDRs: [CIDR] = [], loadBalancerRanges: [AddressRange] = [],
        loadBalancerClass: String? = nil, servesUnclassedLoadBalancers: Bool = true,
        nodePortRange: ClosedRange<UInt16>? = nil, nodeMaskSizeIPv4: Int = 24, nodeMaskSizeIPv6: Int = 64,
        autoRegisterNodes: Bool = true,
        podIPReuseDelaySeconds: Int = 0
    ) {
        self.serviceRanges = serviceRanges
        self.clusterCIDRs = clusterCIDRs
        self.loadBalancerRanges = loadBalancerRanges
        self.loadBalancerClass = loadBalancerClass
        self.servesUnclassedLoadBalancers = servesUnclassedLoadBalancers
        self.nodePortRange = nodePortRange
        self.nodeMaskSizeIPv4 = nodeMaskSizeIPv4
        self.nodeMaskSizeIPv6 = nodeMaskSizeIPv6
        self.autoRegisterNodes = autoRegisterNodes
        self.podIPReuseDelaySeconds = podIPReuseDelaySeconds
    }

    /// The families of `clusterCIDRs`, each once, in their order: the families of a node and a pod.
    public var podFamilies: [IPFamily] {
        var families: [IPFamily] = []
        for range in clusterCIDRs where !families.contains(range.family) { families.append(range.family) }
        return families
    }

    var loadBalancers: LoadBalancerSettings {
        var families: [IPFamily] = []
        for range in loadBalancerRanges where !families.contains(range.family) { families.append(range.family) }
        return LoadBalancerSettings(
            families: families, className: loadBalancerClass, servesUnclassed: servesUnclassedLoadBalancers)
    }

    public func nodeMaskSize(_ family: IPFamily) -> Int {
        family == .ipv4 ? nodeMaskSizeIPv4 : nodeMaskSizeIPv6
    }
}

/// A flag whose value can't be: one line that names the flag and the cure.
public struct ConfigurationFault: Error, Sendable, Equatable, CustomStringConvertible {
    public var flag: String
    public var message: String

    public init(_ flag: String, _ message: String) {
        self.flag = flag
        self.message = message
    }

    public var description: String { "--\(flag): \(message)" }
}

extension ClusterConfiguration {
    /// The faults of the ranges, one entry each; empty where they can be served.
    public var faults: [ConfigurationFault] {
        var faults: [ConfigurationFault] = []
        if serviceRanges.isEmpty, clusterCIDRs.isEmpty, loadBalancerRanges.isEmpty {
            faults.append(
                ConfigurationFault(
                    "service-cluster-ip-range",
                    "there is nothing to hand out: give one CIDR, or two of different families, such as "
                        + "10.96.0.0/16,fd00:10:96::/112, or --cluster-cidr, or --load-balancer-ip-range"))
        }
        faults += Self.familyFaults("service-cluster-ip-range", serviceRanges)
        faults += Self.lengthFaults("service-cluster-ip-range", serviceRanges)
        faults += Self.lengthFaults("cluster-cidr", clusterCIDRs)
        faults += loadBalancerRanges.compactMap(Self.widthFault)
        faults += overlaps
        faults += clusterCIDRs.compactMap(nodeMaskFault)
        return faults
    }

    private static func familyFaults(_ flag: String, _ ranges: [CIDR]) -> [ConfigurationFault] {
        var faults: [ConfigurationFault] = []
        if ranges.count > 2 {
            faults.append(ConfigurationFault(flag, "at most two CIDRs, one of each family; found \(ranges.count)"))
        } else if ranges.count == 2, ranges[0].network.family == ranges[1].network.family {
            faults.append(
                ConfigurationFault(
                    flag,
                    "\(ranges[0]) and \(ranges[1]) are both \(ranges[0].network.family); "
                        + "give one IPv4 and one IPv6 CIDR, or only one"))
        }
        return faults
    }

    private static func lengthFaults(_ flag: String, _ ranges: [CIDR]) -> [ConfigurationFault] {
        var faults: [ConfigurationFault] = []
        for range in ranges {
            let lengths = range.network.family == .ipv4 ? 8...30 : 8...126
            guard !lengths.contains(range.prefixLength) else { continue }
            faults.append(
                ConfigurationFault(
                    flag,
                    "\(range) can't be handed out of; an \(range.network.family) prefix length is "
                        + "\(lengths.lowerBound) to \(lengths.upperBound)"))
        }
        return faults
    }

    private static func widthFault(_ range: AddressRange) -> ConfigurationFault? {
        guard range.cidrs.contains(where: { $0.prefixLength < 8 }) else { return nil }
        return ConfigurationFault(
            "load-balancer-ip-range", "\(range) can't be handed out of; it is wider than a /8, which is the widest")
    }

    private var overlaps: [ConfigurationFault] {
        let all =
            serviceRanges.map { ("service-cluster-ip-range", AddressRange($0)) }
            + clusterCIDRs.map { ("cluster-cidr", AddressRange($0)) }
            + loadBalancerRanges.map { ("load-balancer-ip-range", $0) }
        var faults: [ConfigurationFault] = []
        for (index, (flag, range)) in all.enumerated() {
            for (otherFlag, other) in all[..<index] where range.overlaps(other) {
                faults.append(
                    ConfigurationFault(
                        flag,
                        "\(range) overlaps \(other) of --\(otherFlag); choose ranges that have no address in common")
                )
            }
        }
        return faults
    }

    private func nodeMaskFault(_ cluster: CIDR) -> ConfigurationFault? {
        let family = cluster.network.family
        let mask = nodeMaskSize(family)
        let flag = "node-cidr-mask-size-\(family == .ipv4 ? "ipv4" : "ipv6")"
        let longest = family == .ipv4 ? 30 : 126
        if mask < cluster.prefixLength {
            return ConfigurationFault(
                flag,
                "\(mask) is shorter than the cluster CIDR \(cluster), so that no node's CIDR fits in it; "
                    + "give \(cluster.prefixLength) to \(longest)")
        }
        if mask > longest {
            return ConfigurationFault(
                flag, "\(mask) leaves no address for pods; give \(cluster.prefixLength) to \(longest)")
        }
        return nil
    }
}
