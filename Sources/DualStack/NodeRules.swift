public import Addressing
public import TandemAPI

/// What a Node may ask for: "podCIDRs represents the IP ranges assigned to the node for usage by Pods on that node. It may
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
    public func podCIDRs(askedBy node: Node) throws(APIError) -> [CIDR] {
        var faults = nameFaults(of: node.metadata, kind: .node)
        var asked: [CIDR] = []
        for (index, text) in node.podCIDRs.enumerated() {
            let field = "spec.podCIDRs[\(index)]"
            do throws(CIDR.ParseError) {
                let cidr = try CIDR(parsing: text)
                if let detail = fault(of: cidr, beside: asked) { faults.append(.invalid(field, text, detail)) }
                // One a family is enough to be held against, however many follow.
                if !asked.contains(where: { $0.family == cidr.family }) { asked.append(cidr) }
            } catch {
                faults.append(.invalid(field, text, error.description))
            }
        }
        try faults.refuse(.node, name: node.metadata.name)
        return asked
    }

    private func fault(of cidr: CIDR, beside others: [CIDR]) -> String? {
        let family = cidr.family
        if others.contains(where: { $0.family == family }) {
            return "may specify no more than one CIDR for each IP family"
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
