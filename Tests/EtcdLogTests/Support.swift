import Addressing
import EngineSupport
import EtcdClient
import EtcdSupport
import Ledger
import NIOCore
import Synchronization
import TandemAPI
import Testing

@testable import EtcdLog
@testable import IPAM

extension ClusterConfiguration {
    static let small = ClusterConfiguration(
        serviceRanges: [CIDR("10.96.0.0/24")!, CIDR("fd00:10:96::/120")!],
        clusterCIDRs: [CIDR("10.244.0.0/20")!, CIDR("fd00:10:244::/60")!], loadBalancerRanges: [],
        nodeMaskSizeIPv4: 24, nodeMaskSizeIPv6: 64)
}

/// An engine on etcd, asked as a client would.
final class Server: Sendable {
    let log: EtcdLog
    let engine: Engine

    init(
        _ cluster: EtcdCluster, _ ranges: ClusterConfiguration = .small,
        shared: [String: String] = ["service-cluster-ip-range": "10.96.0.0/24"],
        _ change: (inout EtcdLog.Settings) -> Void = { _ in }
    ) throws {
        var settings = EtcdLog.Settings(
            try EtcdConfiguration(servers: cluster.servers), shared: shared, address: "here")
        change(&settings)
        log = try EtcdLog(settings)
        engine = try Engine(cluster: ranges, log: log)
    }

    func call(_ method: TandemAPI.Method, _ params: JSONValue = [:]) async -> Result<JSONValue, APIError> {
        await engine.answer(method, params)
    }

    func begin(
        _ method: TandemAPI.Method, _ params: JSONValue,
        _ answer: @escaping @Sendable (Result<JSONValue, APIError>) -> Void
    ) {
        engine.begin(method, params, answer)
    }

    /// The same, asked again where etcd was too slow on a busy machine, as clients do.
    func insist(_ method: TandemAPI.Method, _ params: JSONValue = [:]) async throws -> JSONValue {
        try await insisted(method, params).get()
    }

    private func insisted(_ method: TandemAPI.Method, _ params: JSONValue) async -> Result<JSONValue, APIError> {
        for _ in 0..<30 {
            let answer = await call(method, params)
            if case .failure(let error) = answer, error.reason == "StorageUnavailable" { continue }
            return answer
        }
        return await call(method, params)
    }

    func allocateService(_ name: String, _ spec: JSONValue = [:]) async -> Result<JSONValue, APIError> {
        await call(.allocateServiceIPs, Self.service(name, spec))
    }

    /// The same, asked again as `insist` does.
    func insistOnService(_ name: String) async -> Result<JSONValue, APIError> {
        await insisted(.allocateServiceIPs, Self.service(name, [:]))
    }

    private static func service(_ name: String, _ spec: JSONValue) -> JSONValue {
        var spec = spec
        if spec["ipFamilyPolicy"] == nil { spec["ipFamilyPolicy"] = "RequireDualStack" }
        return ["service": ["metadata": ["name": .string(name)], "spec": spec]]
    }

    /// Once everything that was appended before is applied here.
    func digest() async throws -> UInt64 {
        _ = try await insist(.listNodes)
        return engine.digest
    }

    func stop() { _ = engine.stop() }
}

extension Result<JSONValue, APIError> {
    var clusterIPs: [String] {
        (try? get())?["service"]?["spec"]?["clusterIPs"]?.arrayValue?.compactMap(\.stringValue) ?? []
    }
}
