import Addressing
import FaultyLog
import Ledger
import TandemAPI

@testable import IPAM

/// An object with nothing but its name and a number.
struct NamedValue: Named {
    var bookName: String
    var value: Int

    init(_ name: String, _ value: Int = 0) { (bookName, self.value) = (name, value) }
}

/// Changes as servers propose them, in few words.
extension Change {
    static func put(
        service name: String, _ addresses: [String], ports: [UInt16] = [], over transports: [TransportProtocol] = [.tcp]
    ) -> Change {
        let service = Service(metadata: ObjectMeta(namespace: "default", name: name, uid: "u"), spec: ServiceSpec())
        let context = ServiceContext(request: Array("{}".utf8), isUIDGiven: false)
        let held = addresses.map { Holding(pool: .serviceIP, address: IPAddress($0)!) }
        let form = StoredForm(
            document: Documents.encode(service.write), context: context.text,
            holdings: held + ports.flatMap { port in transports.map { .port($0, port) } })
        return .put(ObjectKey(.service, "default/\(name)"), form)
    }

    static func put(node name: String, _ cidrs: [String]) -> Change {
        let cidrs = Few(cidrs.map { CIDR($0)! })
        let node = Node(metadata: ObjectMeta(name: name, uid: "u"), podCIDRs: cidrs)
        let form = StoredForm(
            document: Documents.encode(node.write), holdings: cidrs.map { Holding(pool: .nodeCIDR, range: $0) })
        return .put(ObjectKey(.node, name), form)
    }

    static func put(pod name: String, on node: String, _ addresses: [String]) -> Change {
        let addresses = Few(addresses.map { IPAddress($0)! })
        var pod = Pod(metadata: ObjectMeta(namespace: "default", name: name, uid: "u"), nodeName: node)
        pod.podIPs = WrittenList(addresses)
        let form = StoredForm(
            document: Documents.encode(pod.write), holdings: addresses.map { Holding(pool: .podIP, address: $0) })
        return .put(.pod(name, on: node), form)
    }
}

extension ObjectKey {
    static func pod(_ name: String, on node: String) -> ObjectKey { ObjectKey(.pod, "@\(node)/container/\(name)/eth0") }
}

/// A log for a start alone: a folded form, and proposals behind it.
struct StoredLog: Log {
    var tables: StoredTables
    var tail: [Proposal] = []

    func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 {
        try tables.load(body)
        return tables.version
    }
    func replay(_ body: (Proposal) throws -> Bool) throws { for proposal in tail { _ = try body(proposal) } }
    func append(_ group: [Proposal]) {}
    func next() -> LogEvent? { nil }
    func noteRefused(_ index: Int) {}
    func maintain(isIdle: Bool) throws(LedgerError) -> Bool { false }
    func close() {}
}

extension Books {
    convenience init(_ cluster: ClusterConfiguration) {
        self.init(pools: Pools(cluster), podUsage: PodUsage(clusterCIDRs: cluster.clusterCIDRs), coolingEnd: { 60 })
    }

    /// As a start makes them.
    convenience init(_ cluster: ClusterConfiguration, loading log: StoredLog) throws {
        self.init(cluster)
        let environment = Environment(random: { 0 }, now: { 0 }, uptime: { 0 })
        try BooksLoad(self, environment: environment, reuseDelay: 60).run(log)
    }

    /// Everything that is in them, line by line, but for the times at which cooling addresses are ready.
    var lines: [String] {
        var lines = ["version \(version), digest \(digest)"]
        for service in services.page(after: nil, limit: .max).items {
            lines.append("\(service.key) \(service.version) \(service.holdings) \(text(service.served))")
            for address in service.addresses where self.service(holding: address).map({ $0 === service }) != true {
                lines.append("\(address) does not lead to \(service.key)")
            }
            for port in service.holdings.compactMap(\.port)
            where self.service(holding: port).map({ $0 === service }) != true {
                lines.append("node port \(port) does not lead to \(service.key)")
            }
        }
        for node in nodes.page(after: nil, limit: .max).items {
            lines.append(
                "\(node.name) \(node.created) \(node.isReleasing) \(node.podCount) \(text(node.record.served))")
            for cidr in node.podCIDRs where self.node(holding: cidr) !== node {
                lines.append("\(cidr) does not lead to \(node.name)")
            }
            for entry in node.cooling.all { lines.append("\(entry.address) cools since \(entry.version)") }
            for pod in node.pods(after: StoredPod?.none, limit: .max) {
                lines.append("\(pod.key) \(pod.version) \(pod.addresses) \(text(pod.served))")
            }
        }
        for pod in pods(after: nil, limit: .max, namespace: nil).items { lines.append("\(pod.nameKey) \(pod.version)") }
        let cooling = readyCIDRs(.max, limit: .max).map { "\($0.cidr) cools since \($0.version)" }
        return lines + cooling.sorted()
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
