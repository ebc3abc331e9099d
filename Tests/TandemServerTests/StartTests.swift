import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// The obstacle to a start is reported in one line that names the flag and the remedy.
@Suite("Starting and stopping", .serialized)
struct StartTests {
    private func start(_ arguments: [String], tls: [String] = ServerProcess.tls) -> Command.Result {
        Command.run(ServerProcess.program, tls + arguments)
    }

    private func expectFault(
        _ result: Command.Result, _ flag: String, _ words: String..., at line: SourceLocation = #_sourceLocation
    ) {
        #expect(result.status == 1, sourceLocation: line)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(result.errors)", sourceLocation: line)
        #expect(lines.first?.hasPrefix("tandemd: --\(flag): ") == true, "\(result.errors)", sourceLocation: line)
        for word in words { #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: line) }
    }

    @Test("wrong ranges")
    func refusesRanges() {
        let directory = ScratchDirectory()
        let data = "--data-dir=\(directory.path)"
        func ranges(_ service: String, _ more: String...) -> Command.Result {
            start(["--service-cluster-ip-range=\(service)", data] + more)
        }
        expectFault(
            start([data]), "service-cluster-ip-range", "10.96.0.0/16", "--cluster-cidr", "--load-balancer-ip-range")
        for (range, words) in [
            ("192.0.2.9-192.0.2.8", "lower one first"), ("192.0.2.1-fd00::1", "one family"),
            ("192.0.2.1", "first-last"),
            ("192.0.2.0/24,192.0.2.9-192.0.2.99", "overlaps"), ("10.0.0.0-12.0.0.0", "wider than a /8"),
            ("192.0.2.0/24,", "\"\""),
        ] {
            expectFault(start([data, "--load-balancer-ip-range=\(range)"]), "load-balancer-ip-range", words)
        }
        expectFault(ranges("10.96.0.0/16,10.97.0.0/16"), "service-cluster-ip-range", "both IPv4")
        expectFault(ranges("10.96.0.1/16"), "service-cluster-ip-range", "host bits", "10.96.0.0/16")
        expectFault(ranges("10.96.0.0"), "service-cluster-ip-range", "10.96.0.0")
        expectFault(ranges("10.96.0.0/31"), "service-cluster-ip-range", "8 to 30")
        expectFault(ranges("10.96.0.0/16,fd00::/112,fd01::/112"), "service-cluster-ip-range", "at most two")
        expectFault(ranges("10.96.0.0/16", "--cluster-cidr=10.0.0.0/8"), "cluster-cidr", "overlaps 10.96.0.0/16")
        expectFault(
            ranges("10.96.0.0/16", "--load-balancer-ip-range=10.96.3.0/24"), "load-balancer-ip-range", "overlaps")
        expectFault(
            ranges("10.96.0.0/16", "--cluster-cidr=10.244.0.0/16", "--node-cidr-mask-size-ipv4=12"),
            "node-cidr-mask-size-ipv4", "shorter", "16 to 30")
        expectFault(
            ranges("10.96.0.0/16", "--cluster-cidr=10.244.0.0/16,fd00::/48", "--node-cidr-mask-size=24"),
            "node-cidr-mask-size", "one family")
    }

    @Test("a server for nodes, or for load balancers, alone", arguments: ["cluster-cidr", "load-balancer-ip-range"])
    func servesOneKind(_ flag: String) throws {
        let directory = ScratchDirectory()
        let range = flag == "cluster-cidr" ? "10.244.0.0/16" : "192.0.2.10-192.0.2.12,198.51.100.1/32"
        let server = try ServerProcess(directory.path, ["--\(flag)=\(range)"])
        let stream = try LineStream(port: server.port)
        let service = stream.call(
            .allocateServiceIPs,
            ["service": ["metadata": ["name": "a"], "spec": ["type": "LoadBalancer", "clusterIP": "10.9.8.7"]]])
        #expect(service?["result"]?["service"]?["spec"]?["clusterIPs"] == ["10.9.8.7"])
        let ingress = service?["result"]?["service"]?["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
        #expect(ingress.count == (flag == "cluster-cidr" ? 0 : 1))
        let pod = stream.call(.allocatePodIPs, ["pod": ["metadata": ["name": "p"], "spec": ["nodeName": "n1"]]])
        #expect((pod?["result"] != nil) == (flag == "cluster-cidr"))
        #expect(server.stop() == 0)
    }

    @Test("wrong ranges of node ports; the right ones as kube-apiserver reads them")
    func refusesPorts() {
        let directory = ScratchDirectory()
        func ports(_ text: String) -> Command.Result {
            start([
                "--service-cluster-ip-range=10.96.0.0/16", "--data-dir=\(directory.path)", "--check-config",
                "--service-node-port-range=\(text)",
            ])
        }
        for text in [
            "a", "30000-", "-30000", "30000-32767-1", "30000,32767", "3e4", "30000 - 32767", "30000--1",
            "1-99999999999999999999",
        ] {
            expectFault(ports(text), "service-node-port-range", "is no range of ports such as 30000-32767")
        }
        for text in ["0-100", "0", "65536", "30000-65536", "65000+600"] {
            expectFault(ports(text), "service-node-port-range", "1 to 65535")
        }
        expectFault(ports("30000-29999"), "service-node-port-range", "ends before it begins")
        for text in ["30000-32767", "30000+2767", "30000", "1-65535"] {
            #expect(ports(text).status == 0, "\(ports(text).errors)")
        }
    }

    @Test("wrong files, keys and places")
    func refusesFiles() throws {
        let directory = ScratchDirectory()
        let certificates = Certificates.shared
        let data = ["--service-cluster-ip-range=10.96.0.0/16", "--data-dir=\(directory.path)", "--secure-port=0"]
        func tls(certificate: String? = nil, key: String? = nil, ca: String? = nil) -> [String] {
            [
                "--tls-cert-file=\(certificate ?? certificates.certificate("server"))",
                "--tls-private-key-file=\(key ?? certificates.key("server"))",
                "--client-ca-file=\(ca ?? certificates.ca)",
            ]
        }
        expectFault(start(data, tls: tls(key: "\(directory.path)/none.key")), "tls-private-key-file", "none.key")
        expectFault(start(data, tls: tls(key: certificates.key("viewer"))), "tls-private-key-file")
        expectFault(start(data, tls: tls(key: certificates.ca)), "tls-private-key-file")
        expectFault(start(data, tls: tls(certificate: "/dev/null")), "tls-cert-file")
        expectFault(start(data, tls: tls(ca: "\(directory.path)/none.crt")), "client-ca-file", "none.crt")
        expectFault(start(data, tls: Array(tls().prefix(2))), "client-ca-file", "--client-auth=none")
        expectFault(start(data + ["--tls-min-version=VersionTLS11"]), "tls-min-version", "VersionTLS12")
        expectFault(start(data + ["--client-auth=none", "--bind-address=0.0.0.0"]), "client-auth", "loopback")
        expectFault(start(Array(data.dropLast()) + ["--secure-port=70000"]), "secure-port", "65535")
        expectFault(start(data + ["--log-level=loud"]), "log-level", "debug")
        _ = FileManager.default.createFile(atPath: "\(directory.path)/file", contents: nil)
        expectFault(
            start([data[0], data[2], "--data-dir=\(directory.path)/file/x"]), "data-dir", "\(directory.path)/file")
    }

    @Test("a port or a data directory that another process has")
    func refusesWhatIsTaken() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let other = ScratchDirectory()
        let range = "--service-cluster-ip-range=10.96.0.0/16"
        expectFault(
            start([range, "--data-dir=\(other.path)", "--secure-port=\(server.port)"]), "secure-port", "in use")
        expectFault(
            start([range, "--data-dir=\(directory.path)", "--secure-port=0"]), "data-dir", "another process", "pid")
        #expect(server.stop(SIGINT) == 0)
    }

    @Test("settings from a YAML file; the command line wins; unknown names are refused with the near one")
    func readsFiles() throws {
        let directory = ScratchDirectory()
        let certificates = Certificates.shared
        let file = "\(directory.path)/tandem.yaml"
        try """
        service-cluster-ip-range: [10.96.0.0/20, "fd00:10:96::/112"]
        auto-register-nodes: false
        secure-port: 1
        tls-cert-file: \(certificates.certificate("server"))
        """.write(toFile: file, atomically: true, encoding: .utf8)
        let server = try ServerProcess("\(directory.path)/data", ["--config=\(file)"])
        let pools = Curl(port: server.port).rpc(#"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#).json
        #expect(pools?["result"]?["pools"]?.arrayValue?.count == 2)
        #expect(server.stop() == 0)
        try "secure-prot: 8443\n".write(toFile: file, atomically: true, encoding: .utf8)
        expectFault(start(["--config=\(file)"]), "secure-prot", "secure-port")
        expectFault(start(["--config=\(directory.path)/none.yaml"]), "config", "none.yaml")
    }

    @Test("stored objects outlive any change of ranges; those outside of them are reported once")
    func changesRanges() throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path)
        let pod =
            #"{"jsonrpc":"2.0","id":1,"method":"AllocatePodIPs","params":{"pod":{"metadata":{"name":"p"},"spec":{"nodeName":"n1"}}}}"#
        let first = Curl(port: server.port).rpc(pod).json?["result"]?["pod"]
        #expect(first?["status"]?["podIPs"]?.arrayValue?.count == 2)
        #expect(server.stop() == 0)
        server = try ServerProcess(directory.path, ["--node-cidr-mask-size-ipv4=25"] + ServerProcess.ranges)
        let node =
            #"{"jsonrpc":"2.0","id":1,"method":"AllocateNodeCIDRs","params":{"node":{"metadata":{"name":"n2"}}}}"#
        let second = Curl(port: server.port).rpc(node).json?["result"]?["node"]
        #expect(second?["spec"]?["podCIDR"] == "10.244.1.0/25")
        #expect(Curl(port: server.port).rpc(pod).json?["result"]?["pod"] == first)
        #expect(server.stop() == 0)
        server = try ServerProcess(
            directory.path, ["--service-cluster-ip-range=10.97.0.0/20", "--cluster-cidr=10.245.0.0/16"])
        #expect(server.nextLogLine(with: "lie in no configured range")?.contains("10.244.") == true)
        #expect(Curl(port: server.port).rpc(pod).json?["result"]?["pod"] == first)
        #expect(server.stop() == 0)
        server = try ServerProcess(
            directory.path, ["--service-cluster-ip-range=fd00:10:96::/112", "--cluster-cidr=10.244.0.0/16"])
        #expect(Curl(port: server.port).rpc(pod).json?["result"]?["pod"] == first)
        #expect(server.stop() == 0)
    }
}
