import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Every workload for a moment against a real server: what is measured adds up, and the check at the end is a real one.
@Suite("tandem-load", .serialized)
struct LoadTests {
    private static let flags = [
        "--service-cluster-ip-range=10.96.0.0/14,fd00:10:96::/108", "--cluster-cidr=10.128.0.0/10,fd00:10:244::/48",
        "--node-cidr-mask-size-ipv4=16",
    ]

    private func load(_ port: Int, _ words: String) -> Command.Result { load("127.0.0.1:\(port)", words) }

    private func load(_ servers: String, _ words: String) -> Command.Result {
        let certificates = Certificates.shared
        let connection = [
            "--server", servers, "--ca-file", certificates.ca, "--cert-file",
            certificates.certificate("admin"), "--key-file", certificates.key("admin"), "--quiet",
        ]
        return Command.run(
            ServerProcess.program("tandem-load"), words.split(separator: " ").map(String.init) + connection)
    }

    @Test(
        "each workload, over both protocols",
        arguments: [
            "--workload services", "--workload services --transport http", "--workload pods", "--workload mixed",
            "--workload mixed --transport http --pipeline 1", "--workload batch --batch-size 50",
            "--workload services --rate 500", "--workload handshakes",
        ])
    func runsWorkloads(_ workload: String) throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let report = "\(directory.path)/report"
        let result = load(
            server.port,
            "\(workload) --connections 2 --warm-up 0.1 --duration 0.3 --json \(report).json --html \(report).html")
        #expect(result.status == 0, "\(result.output) \(result.errors)")
        let json = try JSONValue(parsing: String(contentsOfFile: "\(report).json", encoding: .utf8))
        let calls = try #require(json["calls"]?.intValue)
        #expect(calls > 0)
        #expect(json["servedPerSecond"] == json["callsPerSecond"])
        #expect(json["refused"] == 0, "\(json["reasons"]?.text.description ?? "")")
        #expect(json["perSecond"]?.arrayValue?.compactMap(\.intValue).reduce(0, +) == calls)
        let html = try String(contentsOfFile: "\(report).html", encoding: .utf8)
        #expect(html.contains("<svg") && !html.contains("http://") && !html.contains("https://"))
        #expect(server.stop() == 0)
    }

    @Test("churn fills the smaller range to its share and keeps it there")
    func keepsFilled() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, ["--service-cluster-ip-range=10.96.0.0/22,fd00:10:96::/108"])
        let result = load(server.port, "--workload churn --fill 90 --connections 2 --warm-up 0.1 --duration 0.3")
        #expect(result.status == 0, "\(result.output) \(result.errors)")
        let pools = Curl(port: server.port).rpc(#"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#).json
        let allocated =
            pools?["result"]?["pools"]?.arrayValue?.first?["allocated"]?.stringValue.flatMap { Int($0) } ?? 0
        #expect((880...960).contains(allocated), "\(allocated) of 1,022")
    }

    @Test("connections are dealt out over several servers, each under its name")
    func dealsOut() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let words = "--workload services --connections 2 --warm-up 0.1 --duration 0.3"
        let result = load("127.0.0.1:\(server.port),localhost:\(server.port)", words)
        #expect(result.status == 0, "\(result.output) \(result.errors)")
        let broken = load("127.0.0.1:\(server.port),127.0.0.1:1", words)
        #expect(broken.status == 3)
        #expect(broken.errors.contains("can't reach the server 127.0.0.1 port 1"), "\(broken.errors)")
        #expect(server.stop() == 0)
    }

    @Test("wrong usage, and a server that is not there")
    func tellsFaults() {
        #expect(load(1, "--workload services").status == 3)
        #expect(load(1, "--shares 1,2,3").errors.contains("--shares must be three numbers"))
        #expect(load(1, "--connections 0").status == 2)
        #expect(load(1, "--workload nothing").status == 2)
    }
}
