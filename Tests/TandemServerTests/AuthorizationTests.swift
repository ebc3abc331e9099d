import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// The contract's table of rights, every row over both protocols.
@Suite("Authorization of roles", .serialized)
struct AuthorizationTests {
    private static let calls: [(name: String, method: TandemAPI.Method, params: JSONValue)] = [
        ("AllocateServiceIPs", .allocateServiceIPs, ["service": ["metadata": ["name": "a"], "spec": [:]]]),
        ("UpdateServiceIPs", .updateServiceIPs, ["service": ["metadata": ["name": "a"], "spec": [:]]]),
        ("GetService", .getService, ["service": ["metadata": ["name": "a"]]]),
        ("ListServices", .listServices, [:]),
        ("AllocateNodeCIDRs n1", .allocateNodeCIDRs, ["node": ["metadata": ["name": "n1"]]]),
        ("AllocateNodeCIDRs n2", .allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]]),
        ("GetNode n1", .getNode, ["node": ["metadata": ["name": "n1"]]]),
        ("GetNode n2", .getNode, ["node": ["metadata": ["name": "n2"]]]),
        ("ListNodes", .listNodes, [:]),
        ("AllocatePodIPs n1", .allocatePodIPs, ["pod": ["metadata": ["name": "p1"], "spec": ["nodeName": "n1"]]]),
        ("AllocatePodIPs n2", .allocatePodIPs, ["pod": ["metadata": ["name": "p2"], "spec": ["nodeName": "n2"]]]),
        (
            "AllocateNodeCIDRs n1 adopt", .allocateNodeCIDRs,
            ["adopt": true, "node": ["metadata": ["name": "n1"]], "dryRun": true]
        ),
        (
            "AllocatePodIPs n1 adopt", .allocatePodIPs,
            ["pod": ["metadata": ["name": "p1"], "spec": ["nodeName": "n1"]], "adopt": true, "dryRun": true]
        ),
        ("AllocateServiceIPs adopt", .allocateServiceIPs, ["service": ["metadata": ["name": "a"]], "adopt": true]),
        ("GetPod n1", .getPod, ["pod": ["metadata": ["name": "p1"]]]),
        ("GetPod n2", .getPod, ["pod": ["metadata": ["name": "p2"]]]),
        ("GetPod on n1", .getPod, ["pod": ["metadata": ["name": "p1"], "spec": ["nodeName": "n1"]]]),
        ("GetPod on n2", .getPod, ["pod": ["metadata": ["name": "p1"], "spec": ["nodeName": "n2"]]]),
        ("ListPods", .listPods, [:]),
        ("ListPods n1", .listPods, ["nodeName": "n1"]),
        ("ListPods n2", .listPods, ["nodeName": "n2"]),
        ("Release service", .release, ["service": ["metadata": ["name": "zz"]]]),
        ("Release pod n1", .release, ["pod": ["metadata": ["name": "p1", "uid": "zz"]]]),
        ("Release pod n2", .release, ["pod": ["metadata": ["name": "p2"]], "dryRun": true]),
        ("Release attachment", .release, ["attachment": ["containerID": "zz"]]),
        ("Release node n1", .release, ["node": ["metadata": ["name": "zz"]]]),
        ("CheckNode n1", .checkNode, ["node": ["metadata": ["name": "n1"]]]),
        ("CheckNode n2", .checkNode, ["node": ["metadata": ["name": "n2"]]]),
        ("LookupIP", .lookupIP, ["ip": "10.96.0.1"]),
        ("LookupIP cidr", .lookupIP, ["cidr": "10.0.0.0/8"]),
        ("GetPools", .getPools, [:]),
        ("GetPoolMap services", .getPoolMap, ["pool": "services-ipv4"]),
        ("GetPoolMap nodes", .getPoolMap, ["pool": "nodes-ipv4"]),
        ("rpc.discover", .discover, [:]),
    ]

    private static let everything = Set(calls.map(\.name))
    private static let lookups: Set = ["LookupIP", "LookupIP cidr", "GetPools", "rpc.discover"]
    private static let allowed: [(role: String, may: Set<String>)] = [
        ("admin", everything),
        ("masters", everything),
        (
            "services",
            lookups.union([
                "AllocateServiceIPs", "AllocateServiceIPs adopt", "UpdateServiceIPs", "GetService", "ListServices",
                "Release service", "GetPoolMap services",
            ])
        ),
        (
            "pods",
            lookups.union(everything.filter { $0.hasPrefix("AllocateNode") || $0.hasPrefix("AllocatePod") })
                .union(
                    everything.filter {
                        $0.hasPrefix("GetNode") || $0.hasPrefix("GetPod ") || $0.hasPrefix("ListNodes")
                            || $0.hasPrefix("ListPods")
                    }
                )
                .union(["Release pod n1", "Release pod n2", "Release attachment", "Release node n1"])
                .union(["CheckNode n1", "CheckNode n2", "GetPoolMap nodes"])
        ),
        (
            "viewer",
            lookups.union(
                everything.filter { $0.hasPrefix("Get") || $0.hasPrefix("List") || $0.hasPrefix("CheckNode") })
        ),
        (
            "node-n1",
            [
                "rpc.discover", "AllocateNodeCIDRs n1", "GetNode n1", "AllocatePodIPs n1", "GetPod n1", "GetPod on n1",
                "ListPods n1",
                "Release pod n1", "Release attachment", "CheckNode n1",
                // Other nodes' pods are not there for it: not found, and nothing to release.
                "GetPod n2", "Release pod n2",
            ]
        ),
        // A node's name outside the group of nodes, and the group without a node's name, have no role.
        ("impostor", ["rpc.discover"]),
        ("nameless", ["rpc.discover"]),
    ]

    /// All of them in one message.
    private static let batch = JSONValue.array(
        calls.enumerated().map { index, call in
            [
                "jsonrpc": "2.0", "id": .number(String(index)), "method": .string(call.method.rawValue),
                "params": call.params,
            ]
        }
    ).text.description

    /// The roles that may read a path; nil for all clients, certificate or not.
    private static let paths: [(path: String, readers: Set<String>?)] = [
        ("/livez", nil), ("/readyz", nil), ("/healthz", nil), ("/openrpc.json", nil),
        ("/metrics", ["admin", "masters", "viewer"]), ("/backup", ["admin", "masters"]),
    ]

    @Test("each role may make the calls of its row, and no others")
    func holdsTheTable() throws {
        let certificates = Certificates.shared
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "../../certs/generate.sh"
        ).standardized.path
        for (user, group, name) in [
            ("root", "system:masters", "masters"), ("system:node:n1", "tandem:nobody", "impostor"),
            ("n1", "system:nodes", "nameless"),
        ] {
            #expect(Command.run("bash", [script, "--client", user, group, name, certificates.directory]).status == 0)
        }
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let administrator = try LineStream(port: server.port)
        for call in Self.calls where call.name.hasPrefix("Allocate") {
            _ = administrator.call(call.method, call.params)
        }
        for (role, may) in Self.allowed {
            let stream = try LineStream(port: server.port, role: role)
            for call in Self.calls {
                let answer = stream.call(call.method, call.params)
                let isRefused = answer?["error"]?["code"] == -32007
                #expect(
                    isRefused != may.contains(call.name),
                    "\(role): \(call.name): \(answer?["error"]?["message"]?.stringValue ?? "")")
            }
            let http = Curl(port: server.port, role: role)
            let answers = http.rpc(Self.batch).json?.arrayValue ?? []
            #expect(answers.count == Self.calls.count)
            for (call, answer) in zip(Self.calls, answers) {
                let isRefused = answer["error"]?["code"] == -32007
                #expect(isRefused != may.contains(call.name), "\(role) over HTTP: \(call.name)")
            }
            for (path, readers) in Self.paths {
                let status = http.request(path).status
                #expect(status == (readers?.contains(role) ?? true ? 200 : 403), "\(role): \(path)")
            }
        }
        #expect(server.stop() == 0)
    }

    @Test("the holders of a CIDR are shown to a role as far as it may see them")
    func showsHolders() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let administrator = try LineStream(port: server.port)
        _ = administrator.call(.allocateServiceIPs, ["service": ["metadata": ["name": "web"]]])
        _ = administrator.call(
            .allocatePodIPs, ["pod": ["metadata": ["name": "p1"], "spec": ["nodeName": "n1"]]])
        for (role, kinds) in [
            ("admin", ["Pod", "Service"]), ("viewer", ["Pod", "Service"]), ("services", ["Service"]), ("pods", ["Pod"]),
        ] {
            let answer = try LineStream(port: server.port, role: role).call(.lookupIP, ["cidr": "0.0.0.0/0"])
            let items = answer?["result"]?["items"]?.arrayValue ?? []
            #expect(items.compactMap { $0["owner"]?["kind"]?.stringValue }.sorted() == kinds, "\(role)")
        }
        #expect(server.stop() == 0)
    }

    @Test("without a certificate every call but rpc.discover is UNAUTHENTICATED, over both protocols")
    func needsCertificates() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stream = try LineStream(port: server.port, role: nil)
        for call in Self.calls {
            let code = stream.call(call.method, call.params)?["error"]?["code"]
            #expect(code == (call.method == .discover ? nil : -32016), "\(call.name)")
        }
        let http = Curl(port: server.port, role: nil)
        let answers = http.rpc(Self.batch)
        #expect(answers.status == 200)
        for (call, answer) in zip(Self.calls, answers.json?.arrayValue ?? []) {
            #expect(answer["error"]?["code"] == (call.method == .discover ? nil : -32016), "HTTP: \(call.name)")
            #expect(answer["error"]?["data"]?["status"] == (call.method == .discover ? nil : "UNAUTHENTICATED"))
        }
        for (path, readers) in Self.paths {
            #expect(http.request(path).status == (readers == nil ? 200 : 401), "\(path)")
        }
        #expect(server.stop() == 0)
    }
}
