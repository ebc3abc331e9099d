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
        private(set) var tandem: ServerProcess
        private let ranges: [String]
        private let directory: ScratchDirectory
        private var programs: [Process] = []

        init(_ ranges: [String]) async throws {
            cluster = try await KubeCluster()
            client = KubeClient(try cluster.configuration())
            let directory = ScratchDirectory()
            let process = try await onOwnThread { Box(try ServerProcess(directory.path, ranges)) }
            tandem = process.value
            self.ranges = ranges
            self.directory = directory
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
                .appendingPathComponent("../../docker/kubernetes/base/controller-rights.yaml").standardized.path
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
            try Children.start(process)
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

        /// `kill -9` of `tandemd`, and another one at its port over its files.
        func restartTandem() async throws {
            let old = Box(tandem)
            let (path, ranges) = (directory.path, ranges)
            tandem = try await onOwnThread {
                old.value.crash()
                return Box(try ServerProcess(path, ranges, port: old.value.port))
            }.value
        }

        /// A pod's `status` after its node's plugin asked Tandem; nil where that had no answer.
        func addPod(_ name: String, _ uid: String, node: String) async throws -> JSONValue? {
            let pod: JSONValue = [
                "apiVersion": "v1", "kind": "Pod",
                "metadata": ["namespace": "default", "name": .string(name), "uid": .string(uid)],
                "spec": ["nodeName": .string(node)],
            ]
            let (port, text) = (tandem.port, String(decoding: pod.text.bytes, as: UTF8.self))
            let result = try await onOwnThread {
                Ctl(port: port).run(["apply", "-f", "-", "-o", "json"], input: text)
            }
            return result.status == 0 ? try JSONValue(parsing: result.output)["status"] : nil
        }

        func addresses(_ name: KubeObjectName) async throws -> [String] {
            addresses(of: try await client.get(name))
        }

        func addresses(of object: JSONValue) -> [String] {
            let ingress = object["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
            let cidrs = object["spec"]?["podCIDRs"]?.arrayValue ?? []
            let pod = object["status"]?["podIPs"]?.arrayValue ?? []
            return (ingress + pod).compactMap { $0["ip"]?.stringValue } + cidrs.compactMap(\.stringValue)
        }

        func held(_ kind: String) async throws -> [String: [String]] {
            let port = tandem.port
            let text = try await onOwnThread { Ctl(port: port)("get \(kind) -A -o json").output }
            var held: [String: [String]] = [:]
            for object in try JSONValue(parsing: text)["items"]?.arrayValue ?? [] {
                held[object["metadata"]?["name"]?.stringValue ?? ""] = addresses(of: object)
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
        // Removal: existing objects stay as they are, and can be deleted.
        try await world.kill9(controller)
        let arguments = ["uninstall", "--leader-elect=false"] + world.arguments
        let result = try await onOwnThread { Command.run(ServerProcess.program("tandem-controller"), arguments) }
        #expect(result.status == 0 && result.output.contains("12 Services"), "\(result.errors)")
        #expect(try await world.addresses(.service("default", "web-0")) == held["web-0"])
        try await client.delete(.service("default", "web-0"))
        #expect(try await !client.list(services).items.contains { $0["metadata"]?["name"] == "web-0" })
    }

    private static let kills = ProcessInfo.processInfo.environment["TANDEM_KILL_SECONDS"].flatMap(Int.init) ?? 60

    @Test("controller, tandemd and kube-apiserver are killed at random: then all is unique, nothing leaks, both agree")
    func killedAtRandom() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed), \(Self.kills) s")
        var random = SeededGenerator(seed: seed)
        let world = try await World(Self.ranges)
        let client = world.client
        let services = KubeCollection(.services, namespace: "default")
        let pods = KubeCollection(.pods, namespace: "default")
        let flags = ["--leader-elect=false"]
        var controller = try world.startController(flags)
        var counts: [String: Int] = [:]
        let end = ContinuousClock.now + .seconds(Self.kills)
        while ContinuousClock.now < end {
            let number = Int.random(in: 0..<12, using: &random)
            let change = Int.random(in: 0..<24, using: &random)
            // A client that tries again later, or never.
            do {
                switch change {
                case 0..<6: try await client.create(loadBalancer("web-\(number)"), in: services)
                case 6..<9: try await client.delete(.service("default", "web-\(number)"))
                case 9: try await client.patch(.service("default", "web-\(number)"), ["spec": ["type": "ClusterIP"]])
                case 10:
                    try await client.patch(.service("default", "web-\(number)"), ["spec": ["type": "LoadBalancer"]])
                case 11..<13:
                    try await client.create(
                        ["kind": "Node", "metadata": ["name": .string("n\(number % 4)")]], in: .nodes)
                case 13: try await client.delete(.node("n\(number % 4)"))
                case 14..<18:
                    let node = "n\(number % 4)"
                    try await client.create(pod("pod-\(number)", on: node), in: pods)
                    let made = try await client.get(.pod("default", "pod-\(number)"))
                    let status = try await world.addPod(
                        "pod-\(number)", made["metadata"]?["uid"]?.stringValue ?? "", node: node)
                    if let status {
                        try await client.patch(.pod("default", "pod-\(number)"), .status, ["status": status])
                    }
                case 18..<21: try await client.delete(.pod("default", "pod-\(number)"))
                case 21:
                    try await world.kill9(controller)
                    controller = try world.startController(flags)
                case 22: try await world.restartTandem()
                default:
                    if Int.random(in: 0..<3, using: &random) == 0 {
                        world.cluster.crash()
                        try await world.cluster.start()
                    }
                }
                counts["\(change)", default: 0] += 1
            } catch is KubeError {
                counts["refused", default: 0] += 1
            }
        }
        print("\(counts.sorted { $0.key < $1.key })")
        // Left alone they agree: by name, each object's addresses here are those there.
        func expected(_ collection: KubeCollection) async throws -> [String: [String]] {
            var all: [String: [String]] = [:]
            for object in try await client.list(collection).items {
                let isOther = collection == services && object["spec"]?["type"] != "LoadBalancer"
                if isOther { continue }
                all[object["metadata"]?["name"]?.stringValue ?? ""] = world.addresses(of: object)
            }
            return all
        }
        for (kind, collection) in [("services", services), ("nodes", KubeCollection.nodes), ("pods", pods)] {
            var (there, here): ([String: [String]], [String: [String]]) = ([:], [:])
            try await until {
                there = try await expected(collection)
                here = try await world.held(kind)
                // A pod whose node's plugin had no answer has no address, and Tandem may hold one for it until it is gone.
                return kind == "pods"
                    ? Set(here.keys).isSubset(of: there.keys)
                    : here == there && there.values.allSatisfy { $0.count == 2 }
            }
            let all = here.values.flatMap(\.self)
            #expect(Set(all).count == all.count)
            for (name, addresses) in there where kind == "pods" && !addresses.isEmpty {
                #expect(here[name] == addresses)
            }
        }
    }

    private func pod(_ name: String, on node: String) -> JSONValue {
        [
            "kind": "Pod", "metadata": ["name": .string(name)],
            "spec": [
                "nodeName": .string(node), "terminationGracePeriodSeconds": 0,
                "containers": [["name": "c", "image": "none"]],
            ],
        ]
    }

    @Test(
        "the manifests are taken as they are, and taken back without a trace",
        .enabled(if: Kubectl.obstacle == nil, Comment(rawValue: Kubectl.obstacle ?? "")))
    func appliesManifests() async throws {
        let (cluster, kubectl) = (try await KubeCluster(), try #require(Kubectl.program))
        let folder = ScratchDirectory()
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
            .standardized.path
        try FileManager.default.copyItem(atPath: "\(root)/docker/kubernetes", toPath: "\(folder.path)/kubernetes")
        let kubeconfig = cluster.kubeconfigFile()
        func shell(_ script: String) async throws -> Command.Result {
            let path = folder.path
            return try await onOwnThread {
                Command.run(
                    "sh",
                    [
                        "-ec",
                        "cd '\(path)'; export KUBECONFIG='\(kubeconfig)'; kubectl() { '\(kubectl)' \"$@\"; }; \(script)",
                    ])
            }
        }
        let made = try await shell(
            "sh '\(root)/certs/generate.sh' --kubernetes kubernetes/secrets >/dev/null; kubectl kustomize kubernetes/single-server >all.yaml"
        )
        #expect(made.status == 0, "\(made.errors)")
        // Kubernetes 1.20 has neither yet.
        let before = try await shell("kubectl get clusterroles,clusterrolebindings -o name | sort")
        let apply =
            "sed 's,^apiVersion: policy/v1$,apiVersion: policy/v1beta1,; s/ReadWriteOncePod/ReadWriteOnce/' all.yaml"
        let applied = try await shell("\(apply) | kubectl apply -f -")
        #expect(applied.status == 0, "\(applied.errors)")
        #expect(applied.output.split(separator: "\n").allSatisfy { $0.hasSuffix(" created") }, "\(applied.output)")
        let again = try await shell("\(apply) | kubectl apply -f -")
        #expect(again.status == 0 && !again.output.contains(" created"), "\(again.output)")
        let deleted = try await shell("\(apply) | kubectl delete --wait=false -f -")
        #expect(deleted.status == 0, "\(deleted.errors)")
        let after = try await shell("kubectl get clusterroles,clusterrolebindings -o name | sort")
        #expect(after.output == before.output && !before.output.isEmpty)
    }

    @Test("300 nodes that wait have their pod CIDRs, each another; beside kube-controller-manager in the same run")
    func manyNodes() async throws {
        let world = try await World(["--cluster-cidr=10.0.0.0/12,fd00:10:244::/48"])
        // Waiting are 300 nodes that were made before the program started: all that is timed is its own.
        func race(_ name: String, _ start: () throws -> Void) async throws -> Duration {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        for number in 0..<75 {
                            let name = JSONValue.string("\(name)-\(worker)-\(number)")
                            try await world.client.create(["kind": "Node", "metadata": ["name": name]], in: .nodes)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let begun = ContinuousClock.now
            try start()
            var nodes: [JSONValue] = []
            try await until {
                nodes = try await world.client.list(.nodes).items
                return nodes.allSatisfy { $0["spec"]?["podCIDRs"] != nil }
            }
            let time = begun.duration(to: .now)
            let cidrs = nodes.flatMap { $0["spec"]?["podCIDRs"]?.arrayValue ?? [] }
            #expect(nodes.count == 300 && Set(cidrs).count == 600)
            for node in nodes { try await world.client.delete(.node(node["metadata"]?["name"]?.stringValue ?? "")) }
            return time
        }
        let theirs = try await race("theirs") {
            try world.cluster.startControllerManager([
                "--controllers=nodeipam", "--allocate-node-cidrs=true", "--cluster-cidr=10.0.0.0/12,fd00:10:244::/48",
                "--node-cidr-mask-size-ipv4=24", "--node-cidr-mask-size-ipv6=64",
            ])
        }
        world.cluster.stopControllerManager()
        let ours = try await race("ours") { try world.startController(["--leader-elect=false"]) }
        print(
            "300 nodes: \(ours); kube-controller-manager \(theirs), \((theirs / ours * 10).rounded() / 10) times as long"
        )
    }
}
