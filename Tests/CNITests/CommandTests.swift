import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("tandem-cni and a server", .serialized)
struct CommandTests {
    private let directory = ScratchDirectory()
    private let server: ServerProcess
    private let stream: LineStream

    init() throws {
        server = try ServerProcess(directory.path)
        stream = try LineStream(port: server.port)
    }

    private func pods(_ node: String = "n1") -> [JSONValue] {
        stream.call(.listPods, ["nodeName": .string(node)])?["result"]?["items"]?.arrayValue ?? []
    }

    @Test(
        "ADD gives addresses in their node CIDR's length with gateway, routes and dns; again the same; DEL takes them")
    func addsAndDeletes() throws {
        var plugin = PluginProcess(port: server.port)
        plugin.ipam["routes"] = [["dst": "0.0.0.0/0"], ["dst": "2001:db8::/32", "gw": "fd00:10:244::9", "mtu": 1400]]
        plugin.ipam["dns"] = ["nameservers": ["10.96.0.10", "fd00:10:96::a"], "search": ["cluster.local"]]
        let expected = try JSONValue(
            parsing: #"""
                {"cniVersion":"1.0.0","ips":[{"address":"10.244.0.2/24","gateway":"10.244.0.1"},
                {"address":"fd00:10:244::2/64","gateway":"fd00:10:244::1"}],
                "routes":[{"dst":"0.0.0.0/0"},{"dst":"2001:db8::/32","gw":"fd00:10:244::9"}],
                "dns":{"nameservers":["10.96.0.10","fd00:10:96::a"],"search":["cluster.local"]}}
                """#)
        let first = plugin("ADD")
        #expect(first.status == 0)
        #expect(first.json == expected, "\(first.text)")
        #expect(plugin("ADD").json == expected)
        #expect(plugin("ADD", "c2").addresses == ["10.244.0.3/24", "fd00:10:244::3/64"])

        let deleted = plugin("DEL")
        #expect(deleted.status == 0 && deleted.text.isEmpty, "\(deleted.text)")
        #expect(plugin("DEL").status == 0)
        #expect(plugin("DEL", "never-there").status == 0)
        #expect(pods().count == 1)
    }

    @Test("a pod has two annotations, in the form in which the server keeps them without memory")
    func notesAttachment() throws {
        #expect(PluginProcess(port: server.port)("ADD").status == 0)
        #expect(
            pods().last?["metadata"]?["annotations"]?.text.description
                == #"{"tandem-cni/attachment":"c1/eth0","tandem-cni/network":"pods"}"#)
    }

    @Test(
        "a name that is none of Kubernetes' is made fit",
        arguments: [
            ("condescending_curie", "condescending-curie"), ("_Web.0_", "web-0"), ("web-0.a", "web-0.a"), ("__", "c1"),
            ("", "c1"),
        ])
    func fitsNames(_ given: String, _ name: String) throws {
        let plugin = PluginProcess(port: server.port)
        let answer = plugin("ADD", arguments: given.isEmpty ? "" : "K8S_POD_NAME=\(given)")
        #expect(answer.status == 0, "\(answer.text)")
        #expect(pods().last?["metadata"]?["name"]?.stringValue == name)
        #expect(plugin("DEL").status == 0)
    }

    @Test("DEL needs the attachment and the way to the server: nothing else that is wrong keeps a sandbox from going")
    func deletesWhateverElse() throws {
        let plugin = PluginProcess(port: server.port)
        let before = pods().count
        for (index, arguments) in ["IP=banana", "MAC=1", "IP"].enumerated() {
            #expect(plugin("ADD", "d\(index)").status == 0)
            var wrong = plugin
            wrong.ipam["routes"] = [["dst": "10.0.0.1/8", "via": 1]]
            wrong.ipam["timeoutMs"] = "soon"
            wrong.ipam["unknown"] = 1
            wrong.others = ["dns": ["search": "x"], "prevResult": ["ips": [[:]]], "runtimeConfig": ["ips": "x"]]
            #expect(wrong("ADD", "d\(index)", arguments: arguments).status == 1)
            let answer = wrong("DEL", "d\(index)", arguments: arguments)
            #expect(answer.status == 0 && answer.text.isEmpty, "\(answer.text)")
            #expect(pods().count == before)
        }
    }

    @Test("results are written as each version has them", arguments: ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
    func writesVersions(_ version: String) throws {
        var plugin = PluginProcess(port: server.port, version: version)
        plugin.ipam["routes"] = [["dst": "::/0", "mtu": 1400]]
        let answer = plugin("ADD")
        let ip = answer.json?["ips"]?.arrayValue?.last
        #expect(answer.json?["cniVersion"]?.stringValue == version)
        #expect(ip?["version"] == (version < "1" ? "6" : nil), "\(answer.text)")
        #expect(answer.json?["routes"]?.arrayValue?.first?["mtu"] == (version == "1.1.0" ? 1400 : nil))
        #expect(answer.json?["dns"] == [:])
        let versions = plugin("VERSION").json
        #expect(versions?["cniVersion"]?.stringValue == version)
        #expect(versions?["supportedVersions"] == ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
    }

    @Test("the pod is the one that CNI_ARGS names, else it is named after the container")
    func namesThePod() throws {
        let plugin = PluginProcess(port: server.port)
        let arguments = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u-1;OTHER=x"
        #expect(plugin("ADD", "c1", arguments: arguments).status == 0)
        #expect(plugin("ADD", "Sandbox_4.").status == 0)
        let named = pods().map { $0["metadata"] }
        #expect(named.contains { $0?["namespace"] == "shop" && $0?["name"] == "web-0" && $0?["uid"] == "u-1" })
        #expect(named.contains { $0?["namespace"] == "default" && $0?["name"] == "sandbox-4" })
    }

    @Test("a pod made again under its old name keeps its addresses when the DEL of the old one comes late")
    func survivesLateDelete() throws {
        let plugin = PluginProcess(port: server.port)
        let old = plugin("ADD", "old", arguments: "K8S_POD_NAMESPACE=a;K8S_POD_NAME=p;K8S_POD_UID=1")
        let new = plugin("ADD", "new", arguments: "K8S_POD_NAMESPACE=a;K8S_POD_NAME=p;K8S_POD_UID=2")
        #expect(old.addresses != new.addresses && new.addresses.count == 2)
        #expect(plugin("DEL", "old", arguments: "K8S_POD_NAMESPACE=a;K8S_POD_NAME=p;K8S_POD_UID=1").status == 0)
        #expect(
            plugin("ADD", "new", arguments: "K8S_POD_NAMESPACE=a;K8S_POD_NAME=p;K8S_POD_UID=2").addresses
                == new.addresses)
        #expect(pods().count == 1)
    }

    @Test("addresses are asked for in three ways, and given exactly or refused")
    func asksForAddresses() throws {
        var plugin = PluginProcess(port: server.port)
        #expect(plugin("ADD", "c1", arguments: "IP=10.244.0.77").addresses == ["10.244.0.77/24", "fd00:10:244::2/64"])
        #expect(
            plugin("ADD", "c2", arguments: "IP=10.244.0.78,fd00:10:244::78").addresses
                == ["10.244.0.78/24", "fd00:10:244::78/64"])
        plugin.others = ["args": ["cni": ["ips": ["10.244.0.79"]]]]
        #expect(plugin("ADD", "c3").addresses.first == "10.244.0.79/24")
        plugin.others = ["runtimeConfig": ["ips": ["10.244.0.80/24", "fd00:10:244::80/64"]]]
        #expect(plugin("ADD", "c4").addresses == ["10.244.0.80/24", "fd00:10:244::80/64"])
        // The same address in two ways is one wish.
        #expect(plugin("ADD", "c4", arguments: "IP=10.244.0.80").addresses == ["10.244.0.80/24", "fd00:10:244::80/64"])

        let taken = plugin("ADD", "c5")
        #expect(taken.status == 1 && taken.code == 103, "\(taken.text)")
        #expect(taken.json?["details"] == "status.podIPs[0].ip: 10.244.0.80 is already allocated")
        plugin.others = [:]
        let foreign = plugin("ADD", "c6", arguments: "IP=10.244.9.1")
        #expect(foreign.code == 103)
        #expect(foreign.message.contains("does not lie in 10.244.0.0/24"), "\(foreign.message)")
    }

    @Test("CHECK finds an attachment whose addresses are gone, or are not those that the runtime knows")
    func checks() throws {
        var plugin = PluginProcess(port: server.port, version: "0.4.0")
        plugin.others = ["prevResult": try #require(plugin("ADD").json)]
        let good = plugin("CHECK")
        #expect(good.status == 0 && good.text.isEmpty, "\(good.text)")
        plugin.others["prevResult"]?["ips"] = [["address": "10.244.0.2/24"]]
        #expect(plugin("CHECK").message.hasPrefix("fd00:10:244::2 is allocated, but"))
        #expect(plugin("DEL").status == 0)
        #expect(plugin("CHECK").code == 105)
        #expect(pods().isEmpty)
    }

    @Test("STATUS is whether an ADD would be served: of this node, with this certificate, from the addresses left")
    func tellsStatus() throws {
        var plugin = PluginProcess(port: server.port, version: "1.1.0")
        #expect(plugin("STATUS").text.isEmpty)
        #expect(stream.call(.getNode, ["node": ["metadata": ["name": "n1"]]])?["error"] != nil)
        // A container may have any name: STATUS does not depend on it, nor on another node's full range.
        #expect(plugin("ADD", "tandem-cni-status").status == 0)
        #expect(plugin("STATUS").text.isEmpty)
        plugin.ipam["node"] = "n2"
        let foreign = plugin("STATUS")
        #expect(foreign.status == 1 && foreign.code == 50 && foreign.message.contains("n1"), "\(foreign.text)")
        plugin.role = "admin"
        plugin.ipam["node"] = .null
        let nobody = plugin("STATUS")
        #expect(nobody.code == 7 && nobody.message.hasPrefix("ipam.node:"), "\(nobody.text)")
    }

    @Test("STATUS of a node that has no address left says so")
    func tellsFullNode() throws {
        let server = try ServerProcess(
            "\(directory.path)/small",
            [
                "--service-cluster-ip-range=10.96.0.0/24", "--cluster-cidr=10.244.0.0/28,fd00::/48",
                "--node-cidr-mask-size-ipv4=29",
            ])
        let plugin = PluginProcess(port: server.port, version: "1.1.0")
        #expect(plugin("STATUS").text.isEmpty)
        var added = 0
        while plugin("ADD", "c\(added)").status == 0 { added += 1 }
        #expect(added > 0)
        let full = plugin("STATUS")
        #expect(full.code == 50 && full.message.hasPrefix(#"node "n1" has no IPv4"#), "\(full.text)")
        #expect(plugin("DEL", "c0").status == 0)
        // Cooling addresses are there for a call that finds nothing else.
        #expect(plugin("STATUS").text.isEmpty)
    }

    @Test(
        "DEL of a pod that was known without attachment releases it by its uid; never one that has another attachment, nor does GC"
    )
    func deletesByUID() throws {
        let plugin = PluginProcess(port: server.port, version: "1.1.0")
        func place(_ name: String, _ uid: String, _ node: String = "n1") {
            let metadata: JSONValue = ["namespace": "a", "name": .string(name), "uid": .string(uid)]
            let pod: JSONValue = ["metadata": metadata, "spec": ["nodeName": .string(node)]]
            #expect(stream.call(.allocatePodIPs, ["pod": pod])?["result"] != nil)
        }
        func names() -> Set<String> { Set(pods().compactMap { $0["metadata"]?["name"]?.stringValue }) }
        func arguments(_ name: String, _ uid: String) -> String {
            "K8S_POD_NAMESPACE=a;K8S_POD_NAME=\(name);K8S_POD_UID=\(uid);IP=banana"
        }
        place("before", "u1")
        place("twin", "u2")
        place("stays", "u3")
        place("elsewhere", "u1", "n2")
        // A sandbox of the twin that has its addresses by attachment.
        #expect(plugin("ADD", "s2", arguments: "K8S_POD_NAMESPACE=a;K8S_POD_NAME=twin;K8S_POD_UID=u2").status == 0)
        #expect(pods().count == 4)
        // Its own attachment goes, and nothing else.
        #expect(plugin("DEL", "s2", arguments: arguments("twin", "u2")).status == 0)
        #expect(pods().count == 3 && names() == ["before", "twin", "stays"])
        // No other interface's, nor without a uid.
        var other = PluginProcess.environment("DEL", "s1", arguments: arguments("before", "u1"))
        other[2] = "CNI_IFNAME=net1"
        #expect(
            Command.run("env", other + [PluginProcess.program], input: plugin.configuration.text.description).status
                == 0)
        #expect(plugin("DEL", "s1").status == 0)
        #expect(names() == ["before", "twin", "stays"])
        #expect(plugin("DEL", "s1", arguments: arguments("before", "u1")).status == 0)
        #expect(names() == ["twin", "stays"])
        #expect(pods("n2").count == 1)
        // A pod that came by attachment meanwhile is released by its own attachment alone.
        #expect(plugin("ADD", "s3", arguments: "K8S_POD_NAMESPACE=a;K8S_POD_NAME=new;K8S_POD_UID=u4").status == 0)
        #expect(plugin("DEL", "s4", arguments: arguments("new", "u4")).status == 0)
        #expect(names() == ["twin", "stays", "new"])
        var collecting = plugin
        collecting.others = ["cni.dev/valid-attachments": .array([])]
        #expect(collecting("GC").status == 0)
        #expect(names() == ["twin", "stays"])
    }

    @Test("a pod of several interfaces has eth0's addresses; the list names the interface of each")
    func showsInterfaces() throws {
        let plugin = PluginProcess(port: server.port)
        let arguments = "K8S_POD_NAMESPACE=a;K8S_POD_NAME=p;K8S_POD_UID=u"
        for interface in ["net1", "eth0", "net2"] {
            var environment = PluginProcess.environment("ADD", "c1", arguments: arguments)
            environment[2] = "CNI_IFNAME=\(interface)"
            let answer = Command.run(
                "env", environment + [PluginProcess.program], input: plugin.configuration.text.description)
            #expect(answer.status == 0)
        }
        let listed = pods().map { ($0["attachment"]?["ifName"]?.stringValue, $0["status"]?["podIP"]?.stringValue) }
        #expect(listed.map(\.0) == ["net1", "eth0", "net2"])
        let pod = stream.call(.getPod, ["pod": ["metadata": ["namespace": "a", "name": "p"]]])?["result"]?["pod"]
        #expect(pod?["status"]?["podIP"]?.stringValue == listed[1].1 && listed[1].1 == "10.244.0.3")
    }

    @Test("GC releases attachments that the runtime does not know of, on this node and of this network alone")
    func collectsGarbage() throws {
        var plugin = PluginProcess(port: server.port, version: "1.1.0")
        for container in ["a", "b", "c"] { #expect(plugin("ADD", container).status == 0) }
        var other = plugin
        other.network = "storage"
        #expect(other("ADD", "d").status == 0)
        other.role = "node-n2"
        other.network = "pods"
        #expect(other("ADD", "e").status == 0)
        // Not this plugin's: allocated by a controller.
        let pod: JSONValue = ["metadata": ["name": "static"], "spec": ["nodeName": "n1"]]
        _ = stream.call(.allocatePodIPs, ["pod": pod])

        let withoutList = plugin("GC")
        #expect(withoutList.code == 7 && pods().count == 5, "\(withoutList.text)")
        plugin.others = [
            "cni.dev/valid-attachments": [
                ["containerID": "b", "ifname": "eth0"], ["containerID": "c", "ifname": "eth1"],
            ]
        ]
        let collected = plugin("GC")
        #expect(collected.status == 0 && collected.text.isEmpty, "\(collected.text)")
        #expect(Set(pods().compactMap { $0["metadata"]?["name"]?.stringValue }) == ["b", "d", "static"])
        #expect(pods("n2").count == 1)
        #expect(plugin("GC").status == 0)
    }
}
