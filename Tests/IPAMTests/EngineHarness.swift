import Addressing
import EngineSupport
import Foundation
import Ledger
import TandemAPI

@testable import IPAM

extension ClusterConfiguration {
    /// Small enough to run full: 14 service addresses in IPv4, 7 in IPv6; four nodes of 13 pods.
    static let small = ClusterConfiguration(
        serviceRanges: [CIDR("10.96.0.0/28")!, CIDR("fd00:10:96::/125")!],
        clusterCIDRs: [CIDR("10.244.0.0/26")!, CIDR("fd00:10:244::/62")!],
        loadBalancerRanges: [AddressRange("192.0.2.0/29")!, AddressRange("2001:db8::/125")!],
        nodeMaskSizeIPv4: 28, nodeMaskSizeIPv6: 64)

    /// The same cluster with Service ranges of both families, of one alone, or the other way round.
    static func small(_ index: Int) -> ClusterConfiguration {
        var cluster = small
        switch index {
        case 0: cluster.serviceRanges.reverse()
        case 1: cluster.serviceRanges.removeLast()
        case 2: cluster.serviceRanges.removeFirst()
        default: break
        }
        return cluster
    }
}

/// An engine over a store, spoken to in JSON as a client would.
final class EngineHarness: Sendable {
    let engine: Engine

    init(
        _ log: any Log, _ cluster: ClusterConfiguration = .small, environment: Environment = .system
    ) throws {
        engine = try Engine(cluster: cluster, log: log, environment: environment)
    }

    init(_ engine: Engine) {
        self.engine = engine
    }

    func stop() {
        engine.journal.stop()
    }

    /// The result, or the error that was answered.
    func call(_ method: TandemAPI.Method, _ params: JSONValue = [:], onlyNode: String? = nil) async -> Result<
        JSONValue, APIError
    > {
        await engine.answer(method, params, onlyNode: onlyNode)
    }

    /// The call is on its way when this returns; its answer may come later.
    func begin(
        _ method: TandemAPI.Method, _ params: JSONValue, onlyNode: String? = nil,
        _ answer: @escaping @Sendable (Result<JSONValue, APIError>) -> Void
    ) {
        engine.begin(method, params, onlyNode: onlyNode, answer)
    }

    /// Every address that objects show, by its owner; nil where two objects show one.
    func shownAddresses() async throws -> [String: String]? {
        var owners: [String: String] = [:]
        func add(_ address: String?, _ owner: String) -> Bool {
            guard let address, address != "None" else { return true }
            // A Service shows its address as the client wrote it, with zeros in front of numbers as well.
            return owners.updateValue(owner, forKey: IPAddress(zeroPadded: address)?.description ?? address) == nil
        }
        for service in try await items(.listServices) {
            let name =
                "service \(service["metadata"]?["namespace"]?.stringValue ?? "")/\(service["metadata"]?["name"]?.stringValue ?? "")"
            for ip in service["spec"]?["clusterIPs"]?.arrayValue ?? [] where !add(ip.stringValue, name) { return nil }
            for ingress in service["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? [] {
                guard add(ingress["ip"]?.stringValue, name) else { return nil }
            }
        }
        for pod in try await items(.listPods) {
            let name = "pod \(pod["metadata"]?["uid"]?.stringValue ?? "")"
            for ip in pod["status"]?["podIPs"]?.arrayValue ?? [] where !add(ip["ip"]?.stringValue, name) { return nil }
        }
        for node in try await items(.listNodes) {
            let name = "node \(node["metadata"]?["name"]?.stringValue ?? "")"
            for cidr in node["spec"]?["podCIDRs"]?.arrayValue ?? [] where !add(cidr.stringValue, name) { return nil }
        }
        return owners
    }

    func items(_ method: TandemAPI.Method) async throws -> [JSONValue] {
        var items: [JSONValue] = []
        var params: JSONValue = ["limit": 3]
        while true {
            let page = try await call(method, params).get()
            items += page["items"]?.arrayValue ?? []
            guard let next = page["continue"] else { return items }
            params["continue"] = next
        }
    }

    /// Addresses in use = addresses in objects, by count and one by one; empty where all is well.
    func faults() async throws -> [String] {
        guard let shown = try await shownAddresses() else { return ["an address has two owners"] }
        var faults: [String] = []
        let pools = engine.poolStatuses().filter { $0.kind != .nodePort }
        let used = pools.reduce(0) { $0 + Int($1.allocated) }
        // Held addresses of a range that is no longer configured are shown, but in no pool.
        let held = shown.keys.count { text in
            guard let range = CIDR(text) ?? IPAddress(text).map(CIDR.init(_:)) else { return false }
            return pools.contains {
                $0.range?.contains(range.first) ?? false && ($0.kind == .nodeCIDR) == text.contains("/")
            }
        }
        if used != held { faults.append("\(used) in use, \(held) in objects") }
        for (text, owner) in shown {
            guard let address = IPAddress(text) else { continue }
            let status = engine.lookup(address)
            if status.state != .allocated || status.owner == nil {
                faults.append("\(text) of \(owner) is \(status.state)")
            }
        }
        return faults
    }
}

extension StoredPod {
    /// A pod as a start reads it.
    init(
        _ identity: PodIdentity, on node: StoredNode, addresses: Few<IPAddress>, version: UInt64, document: [UInt8],
        isUIDGiven: Bool = false, hasOldKey: Bool = false
    ) throws {
        let key = Array(identity.key.utf8)
        self = try key.withUnsafeBytes { key in
            try document.withUnsafeBytes { document in
                StoredPod(
                    key, on: node, addresses: addresses, version: version, document: document,
                    read: try ReadPod(document), isUIDGiven: isUIDGiven, hasOldKey: hasOldKey)
            }
        }
    }
}

extension StoredNode {
    convenience init(_ name: String, _ podCIDRs: Few<CIDR>, version: UInt64) {
        let node = Node(metadata: ObjectMeta(name: name), podCIDRs: podCIDRs)
        self.init(
            NodeRecord(
                node, podCIDRs: podCIDRs, isUIDGiven: false, document: Documents.encode(node.write), version: version),
            created: version)
    }
}
