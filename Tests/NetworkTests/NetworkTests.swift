import Foundation
import TandemAPI
import TestSupport
import Testing

@Suite(
    "Pods on hosts of their own", .serialized,
    .enabled(if: Hosts.obstacle == nil, Comment(rawValue: Hosts.obstacle ?? "")))
struct NetworkTests {
    /// The node's own addresses, as `Hosts.addNode` gives them.
    private static func own(_ node: Int) -> [String] { ["192.0.2.\(node)", "2001:db8::\(node)"] }
    private static let outside = ["192.0.2.99", "2001:db8::99"]

    @Test("pods reach each other over both families on one node and across two, by bridge and ptp; DEL gives all back")
    func reachEachOther() throws {
        let cluster = try Cluster()
        let hosts = cluster.hosts
        for pod in ["a", "b"] { try cluster.addPod(pod, on: "n1", cluster.bridge()) }
        for pod in ["c", "d"] { try cluster.addPod(pod, on: "n2", cluster.pointToPoint()) }
        #expect(cluster.addresses("a") == ["10.244.0.2", "fd00:10:244::2"])
        #expect(cluster.addresses("d") == ["10.244.1.3", "fd00:10:244:1::3"])
        let echoes = try ["a", "b", "c", "d"].map { try Echo(hosts, on: $0) }
        for (from, to) in [("a", "b"), ("c", "d"), ("a", "c"), ("d", "b")] {
            for (own, address) in zip(cluster.addresses(from), cluster.addresses(to)) {
                #expect(hosts.ping(from, address), "\(from) to \(to) at \(address)")
                #expect(try hosts.source(of: from, at: address) == own)
            }
        }
        withExtendedLifetime(echoes) {}
        #expect(try cluster.administrate("n1", "tandemctl check").hasPrefix("ok: 8 addresses"))
        try cluster.deletePods()
        #expect(try cluster.administrate("n1", "tandemctl get pods -A -o json").contains("\"items\": []"))
        for address in cluster.addresses("a") + cluster.addresses("d") {
            #expect(try cluster.administrate("n2", "tandemctl lookup \(address)").contains("free"))
        }
        #expect(hosts.attempt("a", "ip link show eth0").status != 0)
    }

    @Test("traffic out of the cluster comes from the node's own addresses, IPv4 and IPv6; traffic within it does not")
    func masquerade() throws {
        let cluster = try Cluster()
        let hosts = cluster.hosts
        try cluster.addPod("a", on: "n1", cluster.bridge())
        try cluster.addPod("c", on: "n2", cluster.pointToPoint())
        // Service addresses, held by n2 itself: no kube-proxy stands between.
        let services = ["10.96.0.50", "fd00:10:96::50"]
        try hosts.run("n2", "ip address add \(services[0])/32 dev lo; ip address add \(services[1])/128 dev lo")
        try hosts.run("n1", "ip route add \(services[0]) via 192.0.2.2; ip route add \(services[1]) via 2001:db8::2")
        let echoes = try ["outside", "c", "n2"].map { try Echo(hosts, on: $0) }
        defer { withExtendedLifetime(echoes) {} }
        // No host outside has a route to a pod.
        for address in Self.outside { #expect(!hosts.ping("a", address, seconds: 1)) }

        let start = try cluster.page.unitCommand("ExecStart")
        let stop = try cluster.page.unitCommand("ExecStop")
        try hosts.run("n1", stop)
        try hosts.run("n1", start)
        func sources(_ pod: String, _ addresses: [String]) throws -> [String] {
            try addresses.map { try hosts.source(of: pod, at: $0) }
        }
        #expect(try sources("a", Self.outside) == Self.own(1))
        #expect(try sources("a", cluster.addresses("c")) == cluster.addresses("a"))
        #expect(try sources("a", services) == cluster.addresses("a"))
        let rules = try hosts.run("n1", "nft list ruleset")
        try hosts.run("n1", start)
        #expect(try hosts.run("n1", "nft list ruleset") == rules)

        // With a way back, a host that is to be left alone sees the pod itself.
        try hosts.run(
            "outside",
            "ip route add 10.244.0.0/23 via 192.0.2.1; ip route add fd00:10:244::/63 via 2001:db8::1")
        #expect(try sources("a", Self.outside) == Self.own(1))
        try hosts.run(
            "n1",
            start.replacingOccurrences(
                of: "-o nft", with: "-o nft --non-masquerade-cidrs 192.0.2.96/28,2001:db8::90/124"))
        #expect(try sources("a", Self.outside) == cluster.addresses("a"))
        try hosts.run("n1", start)
        #expect(try sources("a", Self.outside) == Self.own(1))
        try hosts.run("n1", stop)
        #expect(try sources("a", Self.outside) == cluster.addresses("a"))
        #expect(try hosts.run("n1", "nft list ruleset").isEmpty)
    }

    @Test("the same by iptables, for the pods of all nodes; again it changes nothing, and --delete leaves nothing")
    func masqueradeByIptables() throws {
        let cluster = try Cluster()
        let hosts = cluster.hosts
        try cluster.addPod("c", on: "n2", cluster.pointToPoint())
        try cluster.addPod("a", on: "n1", cluster.bridge())
        let echoes = try ["outside", "a"].map { try Echo(hosts, on: $0) }
        defer { withExtendedLifetime(echoes) {} }
        let before = try rules(hosts)
        for _ in 1...2 {
            try cluster.administrate("n2", "tandemctl masquerade -o iptables > \(cluster.directory.path)/rules")
            try hosts.run("n2", "sh -e \(cluster.directory.path)/rules")
        }
        for (address, own) in zip(Self.outside, Self.own(2)) { #expect(try hosts.source(of: "c", at: address) == own) }
        for (address, own) in zip(cluster.addresses("a"), cluster.addresses("c")) {
            #expect(try hosts.source(of: "c", at: address) == own)
        }
        #expect(try rules(hosts).filter { $0.hasSuffix("-j TANDEM-MASQUERADE") }.count == 2)
        try hosts.run("n2", "tandemctl masquerade -o iptables --delete | sh -e")
        #expect(try rules(hosts).filter { $0.contains("TANDEM") } == [])
        #expect(try rules(hosts).count >= before.count)
    }

    private func rules(_ hosts: Hosts) throws -> [String] {
        try hosts.run("n2", "iptables-save -t nat; ip6tables-save -t nat").components(separatedBy: "\n")
            .filter { $0.hasPrefix("-A") || $0.hasPrefix(":TANDEM") }
    }
}
