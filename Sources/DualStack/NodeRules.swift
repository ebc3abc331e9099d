public import Addressing
public import TandemAPI

/// A Node's possible requests: "podCIDRs represents the IP ranges assigned to the node for usage by Pods on that node. It may
/// contain at most 1 value for each of IPv4 and IPv6." (field `podCIDRs`)
///
/// Pure and thread-safe.
public struct NodeRules: Sendable {
    private let clusterCIDRs: [CIDR]
    private let maskSizes: [IPFamily: Int]

    /// The ranges that pod CIDRs are cut from, and the prefix length of a node's CIDR in each family.
    public init(clusterCIDRs: [CIDR], maskSize: (IPFamily) -> Int) {
        self.clusterCIDRs = clusterCIDRs
        maskSizes = Dictionary(uniqueKeysWithValues: IPFamily.allCases.map { ($0, maskSize($0)) })
    }

    /// The CIDRs that a Node asks for, in its order; none where it leaves the choice. Throws all faults together.
    public func podCIDRs(askedBy node: Node) throws(APIError) -> Few<CIDR> {
        try podCIDRs(of: node) { fault(of: $0, beside: $1) }
    }

    /// The CIDRs that a Node shows which is taken in as it stands in a cluster: of any length that leaves an address for a pod, outside of
    /// the cluster's ranges only where that is allowed. Throws all faults together.
    public func podCIDRs(shownBy node: Node, allowsOutOfRange: Bool) throws(APIError) -> Few<CIDR> {
        try podCIDRs(of: node) { cidr, others in
            if others.contains(where: { $0.family == cidr.family }) { return Self.oneOfAFamily }
            let lengths = 8...cidr.family.addressBits - 2
            if !lengths.contains(cidr.prefixLength) {
                return "a node's \(cidr.family) CIDR is a /\(lengths.lowerBound) to a /\(lengths.upperBound)"
            }
            if allowsOutOfRange || clusterCIDRs.contains(where: { $0.contains(cidr) }) { return nil }
            return "lies in no cluster CIDR; add its range to --cluster-cidr, or take it in with \"outOfRange\": true"
        }
    }

    private static let oneOfAFamily = "may specify no more than one CIDR for each IP family"

    private func podCIDRs(of node: Node, _ fault: (CIDR, Few<CIDR>) -> String?) throws(APIError) -> Few<CIDR> {
        var faults = nameFaults(of: node.metadata, kind: .node)
        var asked = Few<CIDR>()
        for (index, text) in node.podCIDRs.enumerated() {
            let field = "spec.podCIDRs[\(index)]"
            do throws(CIDR.ParseError) {
                let cidr = try parsedCIDR(text)
                if let detail = fault(cidr, asked) { faults.append(.invalid(field, text, detail)) }
                // One a family is enough to be held against, however many follow.
                if !asked.contains(where: { $0.family == cidr.family }) { asked.append(cidr) }
            } catch {
                faults.append(.invalid(field, text, error.description))
            }
        }
        try faults.refuse(.node, name: node.metadata.name)
        return asked
    }

    private func fault(of cidr: CIDR, beside others: Few<CIDR>) -> String? {
        let family = cidr.family
        if others.contains(where: { $0.family == family }) {
            return Self.oneOfAFamily
        }
        let ranges = clusterCIDRs.filter { $0.family == family }
        guard !ranges.isEmpty else {
            return "\(family) is not configured on this cluster: --cluster-cidr has no range of it"
        }
        if cidr.prefixLength != maskSizes[family] {
            return "a node's \(family) CIDR is a /\(maskSizes[family] ?? 0) on this cluster"
        }
        let names = ranges.map(\.description).joined(separator: ", ")
        return ranges.contains { $0.contains(cidr) } ? nil : "does not lie in the cluster CIDR \(names)"
    }
}
