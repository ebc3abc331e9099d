import Foundation
import KubeAPI
import KubeSupport
import ServerSupport
import TandemAPI
import TestSupport
import Testing
import YAMLDocuments

/// `tandem-controller` and `tandemd` beside a real kube-apiserver, with the rights of the manifests and no more.
@Suite(
    "A controller beside a real kube-apiserver", .enabled(if: KubeCluster.folder != nil, "by make cluster-test"),
    .serialized)
struct ControllerTests {
    private static let finalizer = "service.kubernetes.io/load-balancer-cleanup"

    /// A cluster, a Tandem, and programs between them that go with the test.
    private final class World: @unchecked Sendable {
        // Proof: `programs` is changed by the one test that has it, and all else is set in `init`.
        let cluster: KubeCluster
        let client: KubeClient
        let tandem: ServerProcess
        private let directory = ScratchDirectory()
        private var programs: [Process] = []

        init(_ ranges: [String]) async throws {
            cluster = try await KubeCluster()
            client = KubeClient(try cluster.configuration())
            let path = directory.path
            let process = try await onOwnThread { Box(try ServerProcess(path, ranges)) }
            tandem = process.value
            try await grantRights()
        }

        deinit {
            for program in programs where program.isRunning {
                kill(program.processIdentifier, SIGKILL)
                program.waitUntilExit()
            }
        }

        /// Those of `docker/kubernetes`, in the namespace of the tests' service account.
        private func grantRights() async throws {
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../docker/kubernetes/controller-rights.yaml").standardized.path
            let text = try String(contentsOfFile: file, encoding: .utf8)
                .replacing("namespace: tandem-system", with: "namespace: tandem")
            try await client.create(
                ["kind": "Namespace", "metadata": ["name": "tandem"]],
                in: KubeCollection(KubeResource(plural: "namespaces")))
            for object in try YAMLDocuments.read(Array(text.utf8)) {
                let kind = object["kind"]?.stringValue ?? ""
                guard kind != "ServiceAccount" else { continue }
                let resource = KubeResource(group: "rbac.authorization.k8s.io", plural: kind.lowercased() + "s")
                let isNamed = !kind.hasPrefix("Cluster")
                try await client.create(object, in: KubeCollection(resource, namespace: isNamed ? "tandem" : nil))
            }
        }

        var arguments: [String] {
            let certificates = Certificates.shared
            return [
                "--kubeconfig", cluster.kubeconfigFile(KubeCluster.controller), "--server", "127.0.0.1:\(tandem.port)",
                "--ca-file", certificates.ca, "--cert-file", certificates.certificate("controller"), "--key-file",
                certificates.key("controller"),
            ]
        }

        @discardableResult
        func startController(_ more: [String] = ["--leader-elect=false"]) throws -> Process {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: ServerProcess.program("tandem-controller"))
            process.arguments = ["--release-grace-period=0"] + more + arguments
            process.standardInput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            programs.append(process)
            return process
        }

        func kill9(_ process: Process) async throws {
            let process = Box(process)
            try await onOwnThread {
                kill(process.value.processIdentifier, SIGKILL)
                process.value.waitUntilExit()
            }
        }

        func addresses(_ name: KubeObjectName) async throws -> [String] {
            let object = try await client.get(name)
            let ingress = object["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
            let cidrs = object["spec"]?["podCIDRs"]?.arrayValue ?? []
            return ingress.compactMap { $0["ip"]?.stringValue } + cidrs.compactMap(\.stringValue)
        }

        func held(_ kind: String) async throws -> [String: [String]] {
            let port = tandem.port
            let text = try await onOwnThread { Ctl(port: port)("get \(kind) -A -o json").output }
            var held: [String: [String]] = [:]
            for object in try JSONValue(parsing: text)["items"]?.arrayValue ?? [] {
                let ingress = object["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
                let cidrs = object["spec"]?["podCIDRs"]?.arrayValue ?? []
                held[object["metadata"]?["name"]?.stringValue ?? ""] =
                    ingress.compactMap { $0["ip"]?.stringValue } + cidrs.compactMap(\.stringValue)
            }
            return held
        }
    }

    private final class Box<Value>: @unchecked Sendable {
        // Proof: never changed.
        let value: Value
        init(_ value: Value) { self.value = value }
    }

    private func until(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { await Task.yield() }
    }

    private func loadBalancer(_ name: String) -> JSONValue {
        [
            "kind": "Service", "metadata": ["name": .string(name)],
            "spec": [
                "type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "ports": [["port": 80]],
                "selector": ["app": .string(name)],
            ],
        ]
    }

    private static let ranges = [
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48", "--load-balancer-ip-range=192.0.2.0/24,2001:db8::/120",
    ]

    @Test(
        "a cluster is taken over unchanged; new ones get both families, deleted ones give them back; kills change nothing"
    )
    func lives() async throws {
        let world = try await World(Self.ranges)
        let client = world.client
        let services = KubeCollection(.services, namespace: "default")
        // As it was before Tandem came.
        try await client.create(
            [
                "kind": "Node", "metadata": ["name": "old"],
                "spec": ["podCIDR": "10.244.7.0/24", "podCIDRs": ["10.244.7.0/24", "fd00:10:244:7::/64"]],
            ], in: .nodes)
        try await client.create(loadBalancer("old"), in: services)
        let shown: JSONValue = ["status": ["loadBalancer": ["ingress": [["ip": "192.0.2.9"], ["ip": "2001:db8::9"]]]]]
        try await client.patch(.service("default", "old"), .status, shown)
        try await client.create(["kind": "Node", "metadata": ["name": "new"]], in: .nodes)
        try await client.create(loadBalancer("new"), in: services)
        var controller = try world.startController()
        try await until {
            let (node, service) = (
                try await world.addresses(.node("new")), try await world.addresses(.service("default", "new"))
            )
            return node.count == 2 && service.count == 2
        }
        #expect(try await world.addresses(.node("old")) == ["10.244.7.0/24", "fd00:10:244:7::/64"])
        #expect(try await world.addresses(.service("default", "old")) == ["192.0.2.9", "2001:db8::9"])
        let kept = try await client.get(.service("default", "old"))
        #expect(kept["metadata"]?["finalizers"] == [.string(Self.finalizer)])
        // Deleted, of another type, and new, while controllers are killed at any moment.
        try await client.delete(.service("default", "old"))
        try await client.patch(
            .service("default", "new"), ["spec": ["type": "ClusterIP"]])
        for number in 0..<12 {
            try await client.create(loadBalancer("web-\(number)"), in: services)
            if number % 3 == 2 {
                try await world.kill9(controller)
                controller = try world.startController()
            }
        }
        try await until {
            let list = try await client.list(services).items
            return list.filter { $0["metadata"]?["finalizers"] != nil }.count == 12
                && !list.contains { $0["metadata"]?["name"] == "old" }
        }
        try await until { try await world.held("services").count == 12 }
        var all: [String] = []
        let held = try await world.held("services")
        for number in 0..<12 {
            let addresses = try await world.addresses(.service("default", "web-\(number)"))
            #expect(addresses.count == 2 && held["web-\(number)"] == addresses)
            all += addresses
        }
        #expect(Set(all).count == 24)
        // Away with it: what there is stays as it is, and can be deleted.
        try await world.kill9(controller)
        let arguments = ["uninstall", "--leader-elect=false"] + world.arguments
        let result = try await onOwnThread { Command.run(ServerProcess.program("tandem-controller"), arguments) }
        #expect(result.status == 0 && result.output.contains("12 Services"), "\(result.errors)")
        #expect(try await world.addresses(.service("default", "web-0")) == held["web-0"])
        try await client.delete(.service("default", "web-0"))
        #expect(try await !client.list(services).items.contains { $0["metadata"]?["name"] == "web-0" })
    }

    @Test("300 nodes have their pod CIDRs, each another")
    func manyNodes() async throws {
        let world = try await World(["--cluster-cidr=10.0.0.0/12,fd00:10:244::/48"])
        try world.startController([])
        // It leads, and is at work.
        try await world.client.create(["kind": "Node", "metadata": ["name": "first"]], in: .nodes)
        try await until { try await world.addresses(.node("first")).count == 2 }
        let begun = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for number in 0..<75 {
                        let name = JSONValue.string("n\(worker)-\(number)")
                        try await world.client.create(["kind": "Node", "metadata": ["name": name]], in: .nodes)
                    }
                }
            }
            try await group.waitForAll()
        }
        var nodes: [JSONValue] = []
        try await until {
            nodes = try await world.client.list(.nodes).items
            return nodes.allSatisfy { $0["spec"]?["podCIDRs"] != nil }
        }
        print("300 nodes have pod CIDRs after \(begun.duration(to: .now))")
        let cidrs = nodes.flatMap { $0["spec"]?["podCIDRs"]?.arrayValue ?? [] }
        #expect(nodes.count == 301 && Set(cidrs).count == 602)
    }
}
