import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Two nodes, a server and a host off the cluster, put up as the page on a node says.
final class Cluster {
    let hosts = Hosts()
    let directory = ScratchDirectory()
    let page: Page
    private var server: ServerProcess?
    private var pods: [String: Pod] = [:]

    struct Pod {
        var node: String
        var plugin: JSONValue
        var addresses: [String]
    }

    init() throws {
        page = try Page(directory: directory.path)
        for (host, number) in [("n1", 1), ("n2", 2), ("server", 10), ("outside", 99)] {
            try hosts.addNode(host, number)
        }
        try hosts.run("server", page.block("sh", with: "--names", on: "server"))
        try hosts.run("server", page.block("sh", with: "--client masquerade-n1", on: "server"))
        try hosts.run("server", page.block("sh", with: "scp", on: "n1"))
        let command =
            try "exec "
            + page.block("sh", with: "tandemd --bind", on: "server").trimmingCharacters(in: .whitespacesAndNewlines)
        server = try ServerProcess(
            command: ["ip"] + hosts.command("server") + [command + " --log-format=json --pod-ip-reuse-delay=0"])
        try hosts.run("server", page.block("sh", with: "tandemctl apply", on: "server"))
        // n1's routes are the page's, n2's their counterpart.
        try hosts.run("n1", page.block("sh", with: "ip route", on: "n1"))
        try hosts.run(
            "n2",
            """
            ip route replace 10.244.0.0/24 via 192.0.2.1
            ip route replace fd00:10:244::/64 via 2001:db8::1
            """)
    }

    @discardableResult
    func administrate(_ host: String, _ script: String) throws -> String {
        let environment = """
            export TANDEM_SERVER=192.0.2.10:8443 TANDEM_CA_FILE=\(page.authority)/ca.crt
            export TANDEM_CERT_FILE=\(page.authority)/admin.crt TANDEM_KEY_FILE=\(page.authority)/admin.key

            """
        return try hosts.run(host, environment + script)
    }

    /// The page's configuration as a runtime hands it to a plugin: with name and version of the list in it.
    func bridge() throws -> JSONValue {
        let list = try JSONValue(parsing: page.block("json", with: "cniVersion", on: "n1"))
        var plugin = try #require(list["plugins"]?.arrayValue?.first)
        plugin["cniVersion"] = list["cniVersion"]
        plugin["name"] = list["name"]
        return plugin
    }

    /// The page's configuration for ptp, for the other node.
    func pointToPoint() throws -> JSONValue {
        try bridge().merging([
            "type": "ptp", "bridge": .null, "isGateway": .null, "hairpinMode": .null, "forceAddress": .null,
            "cniVersion": "0.4.0",
            "ipam": [
                "certFile": .string("\(page.authority)/node-n2.crt"),
                "keyFile": .string("\(page.authority)/node-n2.key"),
            ],
        ])
    }

    func addPod(_ name: String, on node: String, _ plugin: JSONValue) throws {
        try hosts.add(name)
        let answer = try JSONValue(parsing: run(plugin, "ADD", name, on: node))
        let addresses = (answer["ips"]?.arrayValue ?? []).compactMap {
            $0["address"]?.stringValue.map { String($0.prefix { $0 != "/" }) }
        }
        pods[name] = Pod(node: node, plugin: plugin, addresses: addresses)
    }

    func deletePods() throws {
        for (name, pod) in pods { try run(pod.plugin, "DEL", name, on: pod.node) }
    }

    func addresses(_ pod: String) -> [String] { pods[pod]?.addresses ?? [] }

    @discardableResult
    private func run(_ plugin: JSONValue, _ command: String, _ pod: String, on node: String) throws -> String {
        let type = plugin["type"]?.stringValue ?? ""
        return try hosts.run(
            node,
            """
            export CNI_COMMAND=\(command) CNI_CONTAINERID=\(pod) CNI_NETNS=\(hosts.path(pod)) CNI_IFNAME=eth0
            export CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=test;K8S_POD_NAME=\(pod)'
            CNI_PATH=/usr/lib/cni:${PATH%%:*} /usr/lib/cni/\(type)
            """, input: plugin.text.description)
    }
}
