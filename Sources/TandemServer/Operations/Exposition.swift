import Addressing
import EtcdLog
import IPAM
import Ledger
import LineLogs
import Measures
import TandemAPI

/// Everything that the server counts. Names that users' dashboards know from kube-apiserver and
/// kube-controller-manager are kept where they fit, spelled as they are spelled there.
struct Exposition: Sendable {
    let engine: Engine
    let calls: CallMetrics
    let connections: Connections
    let budget: BufferBudget
    let health: Health
    let certificates: CertificateReload
    let auditLog: AuditLog?
    let audit: BackgroundAudit
    let memory: MemoryWatch
    let sharedLog: EtcdLog?
    let watches: WatchMetrics
    let lines: LineLimits

    /// Namespaces that have lines of their own: as many as a reader keeps well, however many there are.
    private static let namespaceLines = 50

    /// The metrics at this moment. O(memory of the cluster's ranges + namespaces), however many objects there are.
    func text() -> String {
        var metrics = MetricsText()
        metrics.add(
            "tandem_build_info", .gauge, "The version that runs, and the commit that it was built of.",
            [([("version", BuildInfo.version), ("commit", BuildInfo.commit ?? "")], "1")])
        metrics.add("tandem_ready", .gauge, "Whether calls are served: 1 or 0.", health.isReady ? 1 : 0)
        addCalls(&metrics)
        addConnections(&metrics)
        addCertificate(&metrics)
        addJournal(&metrics)
        addSharedLog(&metrics)
        addWatches(&metrics)
        addPools(&metrics)
        addNamespaces(&metrics)
        metrics.add(
            "tandem_log_dropped_lines_total", .counter, "Log lines that were dropped as their reader was too slow.",
            LogWriter.standardError.dropped)
        metrics.add(
            "tandem_log_suppressed_lines_total", .counter,
            "Log lines that were not written, as one of the same cause and caller was within the second: the next one counts them.",
            lines.suppressedLines)
        metrics.add(audit.status)
        metrics.add(memory)
        if let auditLog {
            let losses = auditLog.losses
            metrics.add(
                "tandem_audit_dropped_entries_total", .counter,
                "Entries that are missing in the audit log: too many waited, or they could not be written.",
                [([("cause", "queue")], String(losses.dropped)), ([("cause", "write")], String(losses.unwritten))])
            metrics.add(
                "tandem_audit_file_errors_total", .counter,
                "Attempts to write the audit log, to move it aside or to open it again that failed.", losses.errors)
        }
        ProcessStatistics.add(to: &metrics)
        return metrics.text
    }

    private func addCalls(_ metrics: inout MetricsText) {
        metrics.add(
            "tandem_calls_total", .counter, "Calls answered, by method and status.",
            calls.counts.map { ([("method", $0.method), ("status", $0.status)], String($0.count)) })
        metrics.add(
            "tandem_call_duration_seconds", "From a call to its answer, for about one call in eight.",
            unit: 1e9, calls.durations.map { ([("method", $0.method)], $0.times) })
        metrics.add(
            "tandem_stage_duration_seconds",
            "Stages of a call (decode, decide, claim, commit), for about one in eight.", unit: 1e9,
            ([("decode", calls.decoding.snapshot)] + engine.stageTimes).map { ([("stage", $0.0)], $0.1) })
    }

    private func addConnections(_ metrics: inout MetricsText) {
        let counts = connections.metrics
        metrics.add("tandem_connections", .gauge, "Open connections.", connections.count)
        let strangers = connections.strangers
        metrics.add(
            "tandem_connections_anonymous", .gauge,
            "Those of them that have shown no certificate: in their handshake, or behind it.",
            [
                ([("state", "handshake")], String(strangers.inHandshake)),
                ([("state", "open")], String(strangers.others)),
            ])
        metrics.add(
            "tandem_connections_evicted_total", .counter,
            "Connections without a certificate that were closed to make room for others.", counts.evictions[0])
        metrics.add(
            "tandem_buffered_bytes", .gauge,
            "Bytes kept for clients: messages that are not whole, calls in flight and unread answers, beyond 64 KiB each.",
            budget.heldBytes)
        metrics.add(
            "tandem_buffered_bytes_limit", .gauge, "The most of it that is kept: --max-buffered-bytes.",
            budget.maximumBytes)
        metrics.add(
            "tandem_connections_total", .counter, "Connections, by their first outcome.",
            ConnectionMetrics.Event.allCases.map { ([("result", $0.rawValue)], String(counts.events[$0])) })
        metrics.add(
            "tandem_accept_pauses_total", .counter,
            "How often accepting stopped for a moment, as there was no file descriptor or memory for a connection.",
            counts.acceptPauses[0])
        metrics.add(
            "tandem_tls_handshakes_total", .counter, "TLS handshakes that were done, full or resumed.",
            ConnectionMetrics.Handshake.allCases.map { ([("kind", $0.rawValue)], String(counts.handshakes[$0])) })
        metrics.add(
            "tandem_tls_handshake_failures_total", .counter, "TLS handshakes that came to nothing, by cause.",
            ConnectionMetrics.HandshakeFailure.allCases.map { ([("cause", $0.rawValue)], String(counts.failures[$0])) })
    }

    private func addWatches(_ metrics: inout MetricsText) {
        let history = engine.changeHistory
        metrics.add("tandem_watches", .gauge, "Watches that are open.", watches.watches)
        metrics.add(
            "tandem_watch_events_total", .counter, "Events that were told to watches, each of them counted.",
            watches.events)
        metrics.add(
            "tandem_watch_expired_total", .counter,
            "Watches that were ended, as their readers were slower than changes are kept.",
            watches.expired)
        metrics.add(
            "tandem_watch_history_bytes", .gauge, "Recent changes kept for watches, in bytes.", history.bytes
        )
        metrics.add(
            "tandem_watch_history_bytes_limit", .gauge, "The most of it that is kept: --watch-history-bytes.",
            history.maximumBytes)
        metrics.add("tandem_watch_history_changes", .gauge, "The changes that are kept.", history.events)
    }

    private func addCertificate(_ metrics: inout MetricsText) {
        metrics.add(
            "tandem_tls_certificate_expiration_seconds", .gauge,
            "Seconds until the server's certificate ends; below 0 where it has.", String(certificates.secondsLeft))
        metrics.add(
            "tandem_tls_trust_expiration_seconds", .gauge,
            "Seconds until the first of the clients' authorities, of their lists of revocations, or the certificate for etcd ends.",
            certificates.trustSecondsLeft.map { ([("what", $0.what)], String($0.seconds)) })
    }

    private func addJournal(_ metrics: inout MetricsText) {
        let journal = engine.storage
        metrics.add(
            "tandem_journal_commits_total", .counter, "Groups of changes that were committed.", journal.groups)
        metrics.add(
            "tandem_journal_changes_total", .counter, "Changes that were committed, those of one call as one.",
            journal.proposals)
        metrics.add("tandem_journal_queue", .gauge, "Changes that wait for the journal.", journal.queued)
        metrics.add(
            "tandem_journal_lag_seconds", .gauge, "How long the oldest change that is not committed has waited.",
            Double(journal.lag) / 1e9)
        metrics.add(
            "tandem_journal_commit_size", "Changes in a group.", [([], journal.groupSizes)])
        metrics.add(
            "tandem_journal_commit_duration_seconds", "How long storage took for a group.", unit: 1e9,
            [([], journal.groupTimes)])
        metrics.add(
            "tandem_checkpoint_lag_changes", .gauge, "Changes that are journalled and not yet in the readable tables.",
            journal.backlog)
        metrics.add(
            "tandem_storage_failed", .gauge, "Whether storage has failed for good: 1 or 0.",
            engine.fault == nil ? 0 : 1)
    }

    /// Of a server that shares its log with none they say so, so that dashboards and rules fit both.
    private func addSharedLog(_ metrics: inout MetricsText) {
        let log = sharedLog?.statistics ?? EtcdLogStatistics()
        metrics.add("tandem_servers", .gauge, "Servers that share the log, this one included.", log.servers)
        metrics.add(
            "tandem_journal_entries_total", .counter, "Groups of changes that etcd brought, by whose they are.",
            [([("origin", "own")], "\(log.ownEntries)"), ([("origin", "foreign")], "\(log.foreignEntries)")])
        metrics.add(
            "tandem_transactions_refused_total", .counter,
            "Changes of all servers that were not kept, as another one was first.", log.refused)
        metrics.add(
            "tandem_resends_total", .counter, "Groups that were sent to etcd once more, as no answer came.", log.resends
        )
        metrics.add(
            "tandem_landed_before_total", .counter, "Those of them that were there already.", log.landedBefore)
        metrics.add(
            "tandem_watch_restarts_total", .counter, "Watches of etcd that ended and were begun again.",
            log.watchRestarts)
        metrics.add(
            "tandem_fence_seconds", "Time of etcd's answer to a fence, once for all waiting calls.", unit: 1e9,
            [([], log.fenceTimes)])
        metrics.add(
            "tandem_unfolded_bytes", .gauge, "Groups of changes in etcd that the readable keys do not have yet.",
            log.unfoldedBytes)
        metrics.add("tandem_etcd_db_bytes", .gauge, "etcd's database.", log.databaseBytes)
        metrics.add(
            "tandem_etcd_quota_bytes", .gauge, "Its quota: --etcd-quota-backend-bytes.", log.quotaBytes)
        metrics.add(
            "tandem_books_differ", .gauge, "Whether servers that applied the same have other books: 1 or 0.",
            log.hasDisagreement ? 1 : 0)
        metrics.add(
            "tandem_configuration_changed", .gauge,
            "Whether the flags that all servers share are others than this one's: 1 or 0.",
            log.hasOtherConfiguration ? 1 : 0)
    }

    private func addPools(_ metrics: inout MetricsText) {
        let ranges = engine.rangeStatuses()
        addClusterIPs(&metrics, ranges.filter { $0.kind == .service })
        addNodeCIDRs(&metrics, ranges.filter { $0.kind == .nodeCIDR })
        if let ports = ranges.first(where: { $0.kind == .nodePort }) { addNodePorts(&metrics, ports) }
        // A line a node would be too many: the pods' pools are one a cluster CIDR.
        let totals = ranges.map { PoolTotal($0) } + engine.podUsage.map { PoolTotal($0) }
        metrics.add(
            "tandem_pool_capacity", .gauge, "Addresses (for nodes: pod CIDRs), and node ports, that can be handed out.",
            totals.map { ($0.labels, $0.capacity.description) })
        metrics.add(
            "tandem_pool_allocated", .gauge, "Addresses (for nodes: pod CIDRs), and node ports, that are in use.",
            totals.map { ($0.labels, $0.allocated.description) })
        let outside = engine.outsideRanges
        metrics.add(
            "tandem_held_outside_ranges", .gauge,
            "Holdings that lie in no configured range: addresses and node ports of Services, pod CIDRs of nodes.",
            [
                ([("kind", "service")], String(outside.serviceAddresses)),
                ([("kind", "node")], String(outside.podCIDRs)),
                ([("kind", "nodeport")], String(outside.nodePorts)),
            ])
        metrics.add(
            "tandem_overlapping_pod_cidrs", .gauge, "Pairs of nodes' pod CIDRs that overlap.", outside.overlaps)
        metrics.add(
            "tandem_pod_pools_full", .gauge, "Nodes whose pod CIDR of the family has no address left.",
            IPFamily.allCases.map { ([("family", $0.description)], String(engine.fullNodes($0))) })
    }

    private func addNamespaces(_ metrics: inout MetricsText) {
        let (pods, services) = engine.namespaceCounts(largest: Self.namespaceLines)
        metrics.add(
            "tandem_namespaces", .gauge, "Namespaces that have pods, or Services; 10000 stands for more.",
            [([("kind", "Pod")], String(pods.namespaces)), ([("kind", "Service")], String(services.namespaces))])
        func lines(_ counts: NamespaceCounts) -> [(labels: MetricsText.Labels, value: String)] {
            counts.largest.map { ([("namespace", $0.namespace)], String($0.count)) }
        }
        metrics.add(
            "tandem_namespace_pods", .gauge, "Allocations of pods, of the 50 namespaces that have most.", lines(pods))
        metrics.add(
            "tandem_namespace_services", .gauge, "Services, of the 50 namespaces that have most.", lines(services))
    }

    private func addClusterIPs(_ metrics: inout MetricsText, _ ranges: [PoolStatus]) {
        let prefix = "kube_apiserver_clusterip_allocator_"
        metrics.add(
            prefix + "allocated_ips", .gauge, "Cluster IPs in use, by range.",
            ranges.map { ([("cidr", $0.rangeText)], $0.allocated.description) })
        metrics.add(
            prefix + "available_ips", .gauge, "Cluster IPs not in use, by range.",
            ranges.map { ([("cidr", $0.rangeText)], $0.available.description) })
        func scopes(
            _ isStatic: AllocationCounts.ClusterIP, _ isDynamic: AllocationCounts.ClusterIP
        ) -> [(labels: MetricsText.Labels, value: String)] {
            ranges.compactMap(\.range).flatMap { range in
                [("static", isStatic), ("dynamic", isDynamic)].map { scope, what in
                    (
                        [("cidr", range.description), ("scope", scope)],
                        String(engine.allocations.clusterIPs(range.family, what))
                    )
                }
            }
        }
        metrics.add(
            prefix + "allocation_total", .counter, "Cluster IPs handed out, by range and scope.",
            scopes(.isStatic, .isDynamic))
        metrics.add(
            prefix + "allocation_errors_total", .counter, "Cluster IPs that could not be had, by range and scope.",
            scopes(.staticRefused, .dynamicRefused))
    }

    private func addNodeCIDRs(_ metrics: inout MetricsText, _ ranges: [PoolStatus]) {
        let prefix = "node_ipam_controller_"
        func count(_ what: AllocationCounts.NodeCIDR) -> (PoolStatus) -> String {
            { range in String(range.range?.cidr.map { engine.allocations.nodeCIDRs($0, what) } ?? 0) }
        }
        func each(_ value: (PoolStatus) -> String) -> [(labels: MetricsText.Labels, value: String)] {
            ranges.map { ([("clusterCIDR", $0.rangeText)], value($0)) }
        }
        metrics.add(
            prefix + "cidrset_usage_cidrs", .gauge, "The share of pod CIDRs in use, 0 to 1.",
            each { String(Double($0.allocated) / Double($0.capacity)) })
        // Spelled as Kubernetes spells it.
        metrics.add(
            prefix + "cirdset_max_cidrs", .gauge, "Pod CIDRs that can be handed out.", each { $0.capacity.description })
        metrics.add(
            prefix + "cidrset_cidrs_allocations_total", .counter, "Pod CIDRs handed out.",
            each(count(.allocated)))
        metrics.add(
            prefix + "cidrset_cidrs_releases_total", .counter, "Pod CIDRs taken back.",
            each(count(.released)))
    }

    private func addNodePorts(_ metrics: inout MetricsText, _ ports: PoolStatus) {
        let prefix = "kube_apiserver_nodeport_allocator_"
        metrics.add(prefix + "allocated_ports", .gauge, "Node ports in use.", [([], ports.allocated.description)])
        metrics.add(prefix + "available_ports", .gauge, "Node ports not in use.", [([], ports.available.description)])
        func scopes(
            _ isStatic: AllocationCounts.NodePort, _ isDynamic: AllocationCounts.NodePort
        ) -> [(labels: MetricsText.Labels, value: String)] {
            [("static", isStatic), ("dynamic", isDynamic)].map { scope, what in
                ([("scope", scope)], String(engine.allocations.nodePorts(what)))
            }
        }
        metrics.add(
            prefix + "allocation_total", .counter, "Node ports handed out, by scope.", scopes(.isStatic, .isDynamic))
        metrics.add(
            prefix + "allocation_errors_total", .counter, "Node ports that could not be had, by scope.",
            scopes(.staticRefused, .dynamicRefused))
    }
}

extension PoolStatus {
    fileprivate var rangeText: String { range?.description ?? "" }
}

/// A range of the cluster, or all pods' pools in one, as the metrics show it.
private struct PoolTotal {
    var kind: PoolKind
    var range: AddressRange?
    var ports: ClosedRange<UInt16>?
    var capacity: UInt128
    var allocated: UInt128

    init(_ range: PoolStatus) {
        (kind, self.range, ports) = (range.kind, range.range, range.ports)
        (capacity, allocated) = (range.capacity, range.allocated)
    }

    init(_ pods: PodRangeUsage) {
        (kind, range, capacity) = (.pod, AddressRange(pods.cidr), pods.capacity)
        allocated = UInt128(max(0, pods.allocated))
    }

    var labels: MetricsText.Labels {
        var labels: MetricsText.Labels = [("kind", kind.rawValue)]
        if let range { labels += [("family", range.family.description), ("cidr", range.description)] }
        if let ports { labels.append(("ports", "\(ports.lowerBound)-\(ports.upperBound)")) }
        return labels
    }
}
