import Addressing
import Allocation
import Ledger
import TandemAPI

/// Whether a pod of a node would get its addresses now, and how many more of each family the node can give.
struct NodeCheck {
    var families: [(family: IPFamily, available: UInt128)] = []
    /// Why a pod would get none; nil where it would.
    var reason: String?

    var result: CallResult {
        CallResult { writer in
            writer.key("ready")
            writer.bool(reason == nil)
            writer.key("families")
            writer.beginArray()
            for (family, available) in families {
                writer.beginObject()
                writer.key("family")
                writer.string(family.description)
                writer.key("available")
                writer.string(String(available))
                writer.endObject()
            }
            writer.endArray()
            if let reason {
                writer.key("reason")
                writer.string(reason)
            }
        }
    }
}

extension Engine {
    /// Nothing is claimed: it reads the same as an `AllocatePodIPs` would. A node that would be registered, or would grow, with its
    /// next pod counts with the CIDR that it would get. O(cluster CIDRs).
    func checkNode(_ name: String) -> NodeCheck {
        let node = books.nodes[name]
        let record = node?.record
        var check = NodeCheck(
            families: cluster.podFamilies.map { family in
                let own = record?.pools.filter { $0.cidr.family == family } ?? []
                return (family, own.isEmpty ? roomForNode(family) : own.reduce(0) { $0 + available(in: $1, of: node) })
            })
        check.reason = refusal(name, node, check.families)
        return check
    }

    private func refusal(
        _ name: String, _ node: StoredNode?, _ families: [(family: IPFamily, available: UInt128)]
    ) -> String? {
        if let fault = impairment { return "storage can't keep anything now: \(fault.message)" }
        if families.isEmpty { return "pods can't get addresses: the server was started without --cluster-cidr" }
        if let node, node.isReleasing { return "node \"\(name)\" is being released" }
        if node == nil, !cluster.autoRegisterNodes {
            return "node \"\(name)\" is not registered, and --auto-register-nodes=false"
        }
        let full = families.filter { $0.available == 0 }.map(\.family.description)
        guard !full.isEmpty else { return nil }
        return "node \"\(name)\" has no \(full.joined(separator: " and no ")) address left for a pod"
    }

    /// Cooling addresses are there for a call that finds nothing else.
    private func available(in pool: AddressPool, of node: StoredNode?) -> UInt128 {
        let capacity = pool.capacity - pool.excludedCount
        let cooling = node?.cooling.count(pool.cidr.family) ?? 0
        return capacity - min(capacity, UInt128(max(0, pool.allocatedCount - cooling)))
    }

    /// Addresses of the CIDR that a node would get; 0 where there is none.
    private func roomForNode(_ family: IPFamily) -> UInt128 {
        for (place, pool) in pools.nodeCIDR.enumerated() where pool.cluster.family == family {
            let held = pool.excludedCount + UInt128(max(0, pool.allocatedCount - books.coolingCount(place)))
            guard held < pool.capacity else { continue }
            let cidr = CIDR(containing: pool.cluster.network, prefixLength: pool.nodePrefixLength)
            return available(in: AddressPool(cidr, layout: .pods), of: nil)
        }
        return 0
    }
}
