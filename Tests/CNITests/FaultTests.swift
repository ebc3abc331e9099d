import CNI
import TandemAPI
import TestSupport
import Testing

@Suite("Input that tandem-cni refuses before it asks a server")
struct FaultTests {
    private static let good = """
        {"cniVersion":"1.1.0","name":"pods","type":"bridge",
         "ipam":{"type":"tandem-cni","server":"127.0.0.1:1","caFile":"\(Certificates.shared.ca)","node":"n1"}}
        """

    private func run(
        _ changes: [String: String] = [:], _ configuration: String = good
    ) throws -> (code: Int?, message: String, version: String) {
        let usual = [
            "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_NETNS": "/x", "CNI_ARGS": "",
        ]
        let variables = usual.merging(changes) { $1 }
        let outcome = Plugin.run(
            variable: { name in variables[name].flatMap { $0.isEmpty ? nil : $0 } },
            read: { Array(configuration.utf8) })
        // It may end up on a terminal.
        #expect(!String(decoding: outcome.output, as: UTF8.self).unicodeScalars.contains { $0.isHidden })
        let json = try JSONValue(parsing: outcome.output)
        #expect(!outcome.isSuccess)
        return (
            json["code"]?.intValue, json["msg"]?.stringValue ?? "", json["cniVersion"]?.stringValue ?? ""
        )
    }

    @Test(
        "variables",
        arguments: [
            ("CNI_COMMAND", ""), ("CNI_COMMAND", "add"), ("CNI_COMMAND", "\u{1B}]0;x\u{9B}2J\u{202E}"),
            ("CNI_CONTAINERID", ""), ("CNI_CONTAINERID", "-a"),
            ("CNI_CONTAINERID", "a/b"), ("CNI_IFNAME", ""), ("CNI_IFNAME", ".."), ("CNI_IFNAME", "eth0:1"),
            ("CNI_IFNAME", "sixteen-long-one"), ("CNI_NETNS", ""), ("CNI_ARGS", "IP"), ("CNI_ARGS", "IP=10.0.0.256"),
            ("CNI_ARGS", "IP=10.0.0.1/33"), ("CNI_ARGS", "MAC=1"), ("CNI_ARGS", "IgnoreUnknown=0;MAC=1"),
        ])
    func namesVariables(_ name: String, _ value: String) throws {
        for version in ["0.4.0", "1.1.0"] {
            let error = try run([name: value], Self.good.replacing("1.1.0", with: version))
            #expect(error.code == 4, "\(error)")
            #expect(error.message.hasPrefix("\(name): "), "\(error.message)")
            #expect(error.version == version)
        }
    }

    /// Each member as it is changed, with the code and the start of the message that it is answered with.
    private static let configurations: [(String, String, Int, String)] = [
        (#""1.1.0""#, #""0.2.0""#, 1, "cniVersion: \"0.2.0\" is not one of 0.3.1, 0.4.0, 1.0.0, 1.1.0"),
        (#""cniVersion":"1.1.0","#, "", 1, "cniVersion: missing"),
        (#"{"cniVersion""#, #"["cniVersion""#, 6, "the configuration on standard input is no JSON"),
        (#""node":"n1""#, #""nodes":"n1""#, 2, "ipam.nodes: \"n1\" is not supported"),
        (#""node":"n1""#, #""routes":[{"dst":"0.0.0.0/0","via":1}]"#, 2, "ipam.routes[0].via: 1 is not supported"),
        (#""node":"n1""#, #""routes":[{"gw":"10.0.0.1"}]"#, 7, "ipam.routes[0].dst: missing"),
        (#""node":"n1""#, #""routes":[{"dst":"10.0.0.1/8"}]"#, 7, "ipam.routes[0].dst: \"10.0.0.1/8\""),
        (#""node":"n1""#, #""routes":[{"dst":"::/0","gw":"x"}]"#, 7, "ipam.routes[0].gw: \"x\""),
        (#""node":"n1""#, #""dns":{"search":"x"}"#, 7, "dns.search: must be an array"),
        (#""node":"n1""#, #""node":1"#, 7, "ipam.node: must be a string"),
        (#""node":"n1""#, #""timeoutMs":0"#, 7, "ipam.timeoutMs: must be a whole number from 1 to 600000"),
        (#""node":"n1""#, #""certFile":"x""#, 7, "ipam.keyFile: missing"),
        (#""node":"n1""#, #""certFile":"/nowhere","keyFile":"x""#, 7, "ipam: can't read /nowhere"),
        (#""node":"n1""#, #""timeoutMs":9"#, 7, "ipam.node: missing"),
        (#""127.0.0.1:1""#, #""[::1""#, 7, "ipam.server: \"[::1\" is no HOST:PORT"),
        (#""127.0.0.1:1""#, #""a,b:x""#, 7, "ipam.server: \"b:x\" is no HOST:PORT"),
        (#""127.0.0.1:1""#, #"["a",""]"#, 7, "ipam.server: \"\" is no HOST:PORT"),
        (#""127.0.0.1:1""#, "[]", 7, "ipam.server: 0 servers are not 1 to 16"),
        (#""127.0.0.1:1""#, "[1]", 7, "ipam.server: must be an array of strings"),
        (#""127.0.0.1:1""#, "1", 7, "ipam.server: must be a string"),
        (#""caFile""#, #""certFile""#, 7, "ipam.caFile: missing"),
        (#""ipam""#, #""ipan""#, 7, "ipam: missing"),
        (#""type":"bridge""#, #""args":{"cni":{"ips":["x"]}}"#, 7, "args.cni.ips: \"x\" is no IP address"),
        (#""type":"bridge""#, #""runtimeConfig":{"ips":"x"}"#, 7, "runtimeConfig.ips: must be an array"),
        (#""type":"bridge""#, #""prevResult":{"ips":[{}]}"#, 7, "prevResult.ips[0].address: must be"),
    ]

    @Test("configurations", arguments: configurations.indices)
    func namesMembers(_ index: Int) throws {
        let (member, change, code, message) = Self.configurations[index]
        let configuration = Self.good.replacing(member, with: change, maxReplacements: 1)
        #expect(configuration != Self.good)
        let error = try run([:], configuration)
        #expect(error.code == code, "\(error)")
        #expect(error.message.hasPrefix(message), "\(error.message)")
    }

    @Test("VERSION is answered without a configuration as well", arguments: ["", "{}", nil])
    func saysVersions(_ text: String?) throws {
        let outcome = Plugin.run {
            $0 == "CNI_COMMAND" ? "VERSION" : nil
        } read: { () throws(CNIError) in
            guard let text else { throw CNIError(.ioFailure, "closed") }
            return Array(text.utf8)
        }
        let answer = try JSONValue(parsing: outcome.output)
        #expect(outcome.isSuccess && answer["cniVersion"] == "1.1.0")
        #expect(answer["supportedVersions"]?.arrayValue?.count == 4)
    }

    @Test(
        "commands that the configuration's version does not have",
        arguments: [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "0.4.0")])
    func knowsVersions(_ command: String, _ version: String) throws {
        let error = try run(["CNI_COMMAND": command], Self.good.replacing("1.1.0", with: version))
        #expect(error.code == 1 && error.version == version, "\(error)")
    }
}
