import Foundation
import KubeAPI
import KubeSupport
import LineLogs
import OpenSSLTLS
import Reconciliation
import ServerSupport
import TandemAPI
import TandemClient
import TestSupport
import Testing

@testable import ClusterController

/// A cluster, a Tandem, and controllers between them.
final class Fixture: Sendable {
    let kube: FakeAPIServer
    private let directory = ScratchDirectory()
    private let server: Mutexed<ServerProcess>
    let port: Int
    private let arguments: [String]

    /// No service range: the cluster gives cluster IPs.
    static let ranges = [
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48", "--load-balancer-ip-range=192.0.2.0/28,2001:db8::/124",
        "--pod-ip-reuse-delay=0",
    ]

    init(_ arguments: [String] = Fixture.ranges, isModern: Bool = true) async throws {
        kube = try await FakeAPIServer(FakeRules(isModern: isModern))
        self.arguments = arguments
        let path = directory.path
        let process = try await onOwnThread { Mutexed(try ServerProcess(path, arguments)) }
        port = process.value.port
        server = process
    }

    var clientConfiguration: ClientConfiguration {
        let certificates = Certificates.shared
        return ClientConfiguration(
            servers: (try? ServerAddress.list("127.0.0.1:\(port)")) ?? [], caFile: certificates.ca,
            identity: TLSIdentity(
                certificateChainFile: certificates.certificate("admin"), privateKeyFile: certificates.key("admin")))
    }

    func crashTandem() async throws {
        let server = server
        try await onOwnThread { server.value.crash() }
    }

    func restartTandem(keepingData: Bool = true) async throws {
        let (path, arguments, port, server) = (directory.path, arguments, port, server)
        try await onOwnThread {
            for name in try FileManager.default.contentsOfDirectory(atPath: path)
            where !keepingData && (name.hasPrefix("tandem.db") || name.hasPrefix("tandem.journal-")) {
                try FileManager.default.removeItem(atPath: "\(path)/\(name)")
            }
            server.set(try ServerProcess(path, arguments, port: port))
        }
    }

    // MARK: Tandem

    func call(_ method: TandemAPI.Method, _ params: JSONValue = [:]) async throws -> JSONValue {
        let link = TandemLink(clientConfiguration)
        let answer = try await link.call(method, params)
        await link.close()
        return answer
    }

    /// The addresses of Tandem's objects, by name.
    func held(_ method: TandemAPI.Method) async throws -> [String: [String]] {
        var held: [String: [String]] = [:]
        for object in try await call(method)["items"]?.arrayValue ?? [] {
            held[object["metadata"]?["name"]?.stringValue ?? ""] = Self.addresses(object)
        }
        return held
    }

    static func addresses(_ object: JSONValue?) -> [String] {
        let ingress = object?["status"]?["loadBalancer"]?["ingress"]?.arrayValue
        if let ips = ingress ?? object?["status"]?["podIPs"]?.arrayValue {
            return ips.compactMap { $0["ip"]?.stringValue }
        }
        return (object?["spec"]?["podCIDRs"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    // MARK: The cluster

    func put(_ plural: String, _ name: String, uid: String? = nil, _ more: JSONValue = [:]) {
        var metadata: JSONValue = more["metadata"] ?? [:]
        metadata["name"] = .string(name)
        if plural != "nodes" { metadata["namespace"] = "default" }
        if let uid { metadata["uid"] = .string(uid) }
        var object = more
        object["metadata"] = metadata
        kube.put(plural, object)
    }

    /// A Service of type LoadBalancer for both families.
    func putLoadBalancer(
        _ name: String, uid: String? = nil, showing addresses: [String] = [], policy: String = "RequireDualStack",
        className: String? = nil, annotations: JSONValue? = nil
    ) {
        var spec: JSONValue = ["type": "LoadBalancer", "ipFamilyPolicy": .string(policy), "ports": [["port": 80]]]
        let (v4, v6): (JSONValue, JSONValue) = ("IPv4", "IPv6")
        spec["ipFamilies"] = policy == "SingleStack" ? [v4] : [v4, v6]
        if let className { spec["loadBalancerClass"] = .string(className) }
        var service: JSONValue = ["spec": spec]
        if !addresses.isEmpty {
            service["status"] = ["loadBalancer": ["ingress": .array(addresses.map { ["ip": .string($0)] })]]
        }
        if let annotations { service["metadata"] = ["annotations": annotations] }
        put("services", name, uid: uid, service)
    }

    func service(_ name: String) -> JSONValue? { kube.object("services", name, in: "default") }

    func finalizers(_ name: String) -> [String] {
        (service(name)?["metadata"]?["finalizers"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    func events(_ reason: String) -> [String] {
        kube.objects("events").filter { $0["reason"]?.stringValue == reason }
            .compactMap { $0["involvedObject"]?["name"]?.stringValue }
    }

    // MARK: Controllers

    static var settings: ControllerSettings {
        var settings = ControllerSettings(gracePeriod: .milliseconds(1))
        settings.firstPause = .milliseconds(20)
        settings.longestPause = .milliseconds(100)
        settings.sweepPeriod = .milliseconds(20)
        return settings
    }

    func start(_ settings: ControllerSettings = Fixture.settings) throws -> RunningController {
        RunningController(
            settings, kube: KubeClient(try kube.configuration), tandem: TandemLink(clientConfiguration))
    }

    /// Runs one until nothing is left to be done.
    func runUntilIdle(_ settings: ControllerSettings = Fixture.settings) async throws {
        let controller = try start(settings)
        await controller.idle()
        await controller.stop()
    }

    var controllerArguments: [String] {
        let certificates = Certificates.shared
        return [
            "--kubeconfig", kube.kubeconfigFile, "--server", "127.0.0.1:\(port)", "--ca-file", certificates.ca,
            "--cert-file", certificates.certificate("admin"), "--key-file", certificates.key("admin"),
        ]
    }

    /// The program, run to its end.
    func program(_ arguments: [String]) async throws -> Command.Result {
        let all = arguments + controllerArguments
        return try await onOwnThread { Command.run(ServerProcess.program("tandem-controller"), all) }
    }
}

/// A controller in this process, which ends with it.
final class RunningController: Sendable {
    let controller: Controller
    let metrics = ControllerMetrics()
    private let tandem: TandemLink
    private let task: Task<Void, Never>

    init(_ settings: ControllerSettings, kube: KubeClient, tandem: TandemLink) {
        controller = Controller(settings, kube: kube, tandem: tandem, metrics: metrics, logger: Logs.quiet)
        self.tandem = tandem
        task = Task { [controller] in await controller.run() }
    }

    deinit { task.cancel() }

    /// Every object has had its turn, and there has been a sweep.
    func idle() async {
        let rounds = await controller.sweeps + 3
        while await !controller.isIdle(since: rounds) { await Task.yield() }
    }

    /// As by a kill: turns in progress are broken off.
    func stop() async {
        task.cancel()
        await task.value
        await tandem.close()
    }
}

extension Controller {
    /// Nothing waits for its turn after so many sweeps; objects that wait for a pause do not count.
    fileprivate func isIdle(since rounds: Int) -> Bool {
        let counts = queue.counts
        return isSynced && sweeps >= rounds && counts.waiting == 0 && counts.running == 0
    }
}

/// A value that tests on several threads share.
final class Mutexed<Value>: @unchecked Sendable {
    // Proof: read and written under the lock alone.
    private let lock = NSLock()
    private var stored: Value

    init(_ value: Value) { stored = value }

    var value: Value { lock.withLock { stored } }
    func set(_ value: Value) { lock.withLock { stored = value } }
}

/// Returns once it is so.
func until(_ condition: () async throws -> Bool) async throws {
    while try await !condition() { await Task.yield() }
}
