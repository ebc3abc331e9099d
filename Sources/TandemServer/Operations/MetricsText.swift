import Addressing
import IPAM
import Ledger
import TandemAPI

/// The Prometheus text format, version 0.0.4. Names that users' dashboards know from kube-apiserver and
/// kube-controller-manager are kept where they fit.
struct MetricsText {
    private(set) var text = ""

    enum Kind: String { case counter, gauge }

    /// One metric with all of its samples; labels in the order given.
    mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: String)]
    ) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
            text += labels.isEmpty ? "\(name) \(sample.value)\n" : "\(name){\(labels)} \(sample.value)\n"
        }
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}

extension MetricsText {
    /// Everything that the server counts, at this moment.
    static func render(engine: Engine, calls: CallMetrics, connections: Int, audit: BackgroundAudit.Status) -> String {
        var metrics = MetricsText()
        metrics.add(
            "tandem_build_info", .gauge, "The version that runs.", [([("version", OpenRPC.version)], "1")])
        metrics.add(
            "tandem_calls_total", .counter, "Calls answered, by method and status.",
            calls.counts.map { ([("method", $0.method), ("status", $0.status)], String($0.count)) })
        metrics.add("tandem_connections", .gauge, "Open connections.", [([], String(connections))])
        let journal = engine.journal.statistics
        metrics.add(
            "tandem_journal_commits_total", .counter, "Transactions that the journal committed as one group.",
            [([], String(journal.groups))])
        metrics.add(
            "tandem_journal_records_total", .counter, "Changes that were committed.", [([], String(journal.records))])
        metrics.add(
            "tandem_journal_queue", .gauge, "Changes that wait for the journal.", [([], String(journal.queued))])
        metrics.add(audit)
        metrics.addPools(engine.poolStatuses())
        return metrics.text
    }

    private mutating func addPools(_ pools: [PoolStatus]) {
        let services = pools.filter { $0.kind == "Service" }
        add(
            "kube_apiserver_clusterip_allocator_allocated_ips", .gauge, "Cluster IPs in use, by range.",
            services.map { ([("cidr", $0.cidr.description)], $0.allocated.description) })
        add(
            "kube_apiserver_clusterip_allocator_available_ips", .gauge, "Cluster IPs not in use, by range.",
            services.map { ([("cidr", $0.cidr.description)], $0.available.description) })
        let nodes = pools.filter { $0.kind == "NodeCIDR" }
        add(
            "node_ipam_controller_cidrset_usage_cidrs", .gauge, "The share of pod CIDRs in use, 0 to 1.",
            nodes.map {
                ([("clusterCIDR", $0.cidr.description)], String(Double($0.allocated) / Double($0.capacity)))
            })
        add(
            "tandem_pool_capacity", .gauge, "Addresses (or pod CIDRs) that a pool can hand out.",
            pools.map { ($0.labels, $0.capacity.description) })
        add(
            "tandem_pool_allocated", .gauge, "Addresses (or pod CIDRs) of a pool that are in use.",
            pools.map { ($0.labels, $0.allocated.description) })
    }
}

extension PoolStatus {
    fileprivate var labels: [(String, String)] {
        [("pool", name), ("family", cidr.network.family.description), ("cidr", cidr.description)]
    }
}
