import Foundation
import ServerSupport
import TestSupport
import Testing

@Suite("tandemctl flags and masquerade", .serialized)
struct RangeCommandTests {
    private let directory = ScratchDirectory()

    @Test("flags are those with which Kubernetes' components agree with the server's own")
    func printsFlags() throws {
        let server = try ServerProcess(directory.path)
        let ctl = Ctl(port: server.port)
        #expect(
            ctl("flags").output == """
                kube-apiserver
                    --service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112
                kube-controller-manager
                    --allocate-node-cidrs=false
                    --cluster-cidr=10.244.0.0/16,fd00:10:244::/48
                    --service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112
                    --node-cidr-mask-size-ipv4=24
                    --node-cidr-mask-size-ipv6=64
                kube-proxy
                    --cluster-cidr=10.244.0.0/16,fd00:10:244::/48

                """)
        #expect(ctl("flags kube-apiserver").output == "--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112\n")
        #expect(ctl("flags kube-proxy --node n1").status == 1)
        #expect(ctl("apply -f -", input: "{kind: Node, metadata: {name: n1}}").status == 0)
        #expect(ctl("flags kube-proxy --node n1").output == "--cluster-cidr=10.244.0.0/24,fd00:10:244::/64\n")
        #expect(ctl("flags kubelet").status == 2)
    }

    @Test("kube-proxy, which takes one CIDR a family, is told a node's own where the cluster has grown")
    func printsFlagsOfGrown() throws {
        let server = try ServerProcess(
            directory.path,
            ["--service-cluster-ip-range=10.96.0.0/20", "--cluster-cidr=10.244.0.0/16,10.245.0.0/16"])
        let ctl = Ctl(port: server.port)
        #expect(ctl("flags kube-controller-manager").output.contains("--cluster-cidr=10.244.0.0/16,10.245.0.0/16\n"))
        let refused = ctl("flags kube-proxy")
        #expect(refused.status == 2 && refused.errors.contains("give --node"), "\(refused.errors)")
        #expect(ctl("apply -f -", input: "{kind: Node, metadata: {name: n1}}").status == 0)
        #expect(ctl("flags kube-proxy --node n1").output == "--cluster-cidr=10.244.0.0/24\n")
    }

    @Test(
        "masquerade excludes the cluster's ranges, link-local, multicast, and those of flags or ip-masq-agent's file"
    )
    func printsRules() throws {
        let server = try ServerProcess(directory.path)
        let ctl = Ctl(port: server.port)
        let all = ctl("masquerade -o nft").output
        #expect(
            all.contains("elements = { 10.244.0.0/16 }\n") || all.contains("elements = { 10.244.0.0/16 } }\n"), "\(all)"
        )
        #expect(all.contains("{ 10.244.0.0/16, 10.96.0.0/20, 224.0.0.0/4, 169.254.0.0/16 }"), "\(all)")
        #expect(all.contains("{ fd00:10:244::/48, fd00:10:96::/112, ff00::/8, fe80::/10 }"), "\(all)")

        #expect(ctl("masquerade -o nft --node n1").status == 1)
        #expect(ctl("apply -f -", input: "{kind: Node, metadata: {name: n1}}").status == 0)
        let file = "\(directory.path)/config"
        try "nonMasqueradeCIDRs: [192.168.0.0/16, 'fd00:9::/32']\nmasqLinkLocal: true\nresyncInterval: 60s\n".write(
            toFile: file, atomically: true, encoding: .utf8)
        let one = ctl("masquerade -o iptables --node n1 --config \(file)").output
        #expect(one.contains("-A TANDEM-MASQUERADE -s 10.244.0.0/24 -j MASQUERADE --random-fully\n"), "\(one)")
        #expect(one.contains("-d 192.168.0.0/16 -j RETURN") && one.contains("-d fd00:9::/32 -j RETURN"))
        #expect(!one.contains("169.254.0.0/16") && one.contains("-d fe80::/10 -j RETURN"))
        // A flag wins over the file.
        let flags = "--no-masq-link-local --masq-link-local-ipv6 --non-masquerade-cidrs 10.0.0.0/8"
        let changed = ctl("masquerade -o iptables --config \(file) \(flags)").output
        #expect(changed.contains("169.254.0.0/16") && !changed.contains("fe80") && !changed.contains("192.168"))
        #expect(changed.contains("-d 10.0.0.0/8 -j RETURN"))
        #expect(changed.contains("-d 224.0.0.0/4 -j RETURN") && changed.contains("-d ff00::/8 -j RETURN"))
    }

    @Test("masquerade leaves alone every CIDR that a node holds, though --cluster-cidr has moved on")
    func keepsOldNodes() throws {
        var server = try ServerProcess(directory.path)
        #expect(Ctl(port: server.port)("apply -f -", input: "{kind: Node, metadata: {name: old}}").status == 0)
        #expect(server.stop() == 0)
        server = try ServerProcess(
            directory.path, ["--service-cluster-ip-range=10.96.0.0/20", "--cluster-cidr=10.245.0.0/16"])
        let rules = Ctl(port: server.port)("masquerade -o nft").output
        #expect(
            rules.contains(
                "set pods-ipv4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.245.0.0/16, 10.244.0.0/24 } }"
            ), "\(rules)")
        #expect(
            rules.contains("{ 10.245.0.0/16, 10.244.0.0/24, 10.96.0.0/20, 224.0.0.0/4, 169.254.0.0/16 }"), "\(rules)")
        #expect(rules.contains("elements = { fd00:10:244::/64 }"), "\(rules)")
        let check = Ctl(port: server.port)("check")
        #expect(check.status == 0, "\(check.output)\(check.errors)")
    }

    @Test(
        "an invalid value is reported with its place",
        arguments: [
            ("masquerade", "-o"), ("masquerade -o pf", "pf"),
            ("masquerade -o nft --non-masquerade-cidrs 10.0.0.1/8", "--non-masquerade-cidrs: \"10.0.0.1/8\""),
        ])
    func refuses(_ words: String, _ complaint: String) {
        let answer = Ctl(port: 1)(words)
        #expect(answer.status == 2 && answer.errors.contains(complaint), "\(answer.errors)")
    }

    @Test("a file with a member that is not known is refused; --delete asks no server")
    func readsFiles() throws {
        let file = "\(directory.path)/config"
        try "nonMasqueradeCIDR: [10.0.0.0/8]\n".write(toFile: file, atomically: true, encoding: .utf8)
        let answer = Ctl(port: 1)("masquerade -o nft --config \(file)")
        #expect(answer.status == 2 && answer.errors.contains("nonMasqueradeCIDR is not known"), "\(answer.errors)")
        #expect(Ctl(port: 1)("masquerade -o nft --delete").output.hasSuffix("delete table inet tandem-masquerade\n"))
    }
}
