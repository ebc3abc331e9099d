import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Every workload for a moment against a real server: the figures add up, and the verification at the end is a real one.
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
        // Its objects are released.
        #expect(held(by: server.port) == 0)
        #expect(server.stop() == 0)
    }

    /// Addresses, subnets and ports of all ranges that are in use.
    private func held(by port: Int) -> Int? {
        let answer = Curl(port: port).rpc(#"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#).json
        let pools = answer?["result"]?["pools"]?.arrayValue
        return pools?.compactMap { $0["allocated"]?.stringValue.flatMap { Int($0) } }.reduce(0, +)
    }

    @Test("a report says when, where, of which programs and with which settings; and tells methods and seconds apart")
    func reports() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let report = "\(directory.path)/report"
        let words = "--workload mixed --shares 50,30,20 --connections 2 --pipeline 4 --warm-up 0.2 --duration 1.2"
        let result = load(server.port, "\(words) --json \(report).json --html \(report).html")
        #expect(result.status == 0, "\(result.output) \(result.errors)")
        let json = try JSONValue(parsing: String(contentsOfFile: "\(report).json", encoding: .utf8))
        let date = try #require(json["date"]?.stringValue.flatMap { try? Date($0, strategy: .iso8601) })
        #expect(abs(date.timeIntervalSinceNow) < 600)
        #expect(json["host"]?["name"]?.stringValue == ProcessInfo.processInfo.hostName)
        #expect(json["host"]?["processors"]?.intValue == ProcessInfo.processInfo.activeProcessorCount)
        #expect(json["versions"]?["tandemd"]?.stringValue == BuildInfo.version)
        #expect(json["versions"]?["tandem-load"]?.stringValue == BuildInfo.text)
        let settings: JSONValue = [
            "server": .string("127.0.0.1:\(server.port)"), "workload": "mixed", "transport": "stream", "connections": 2,
            "pipeline": 4, "warm-up": .number("0.2"), "duration": .number("1.2"), "shares": "50,30,20",
        ]
        #expect(json["settings"] == settings)
        let methods = try #require(json["methodMicroseconds"]?.objectValue?.members)
        try #require(methods.map(\.name) == ["AllocateServiceIPs", "GetService", "Release"])
        for (name, latency) in methods + [("all", json["latencyMicroseconds"] ?? .null)] {
            let values = ["50", "90", "99", "99.9", "99.99", "100"].compactMap { latency[$0]?.intValue }
            #expect(values.count == 6 && values == values.sorted() && values[0] > 0, "\(name)")
        }
        // A call that waits for a commit takes longer than one in memory.
        #expect(methods[0].value["50"]?.intValue ?? 0 > methods[1].value["50"]?.intValue ?? .max)
        let seconds = json["secondMicroseconds"]?.arrayValue ?? []
        #expect(seconds.count == json["perSecond"]?.arrayValue?.count && seconds.count >= 2)
        #expect((seconds.first?["50"]?.intValue ?? 0) > 0)
        for text in ["tandemd \(BuildInfo.version)", "AllocateServiceIPs", "p99.99", ProcessInfo.processInfo.hostName] {
            #expect(result.output.contains(text), "\(text)")
            #expect(try String(contentsOfFile: "\(report).html", encoding: .utf8).contains(text), "\(text)")
        }
    }

    @Test("with --keep the allocated objects stay; without it exactly they are released")
    func keeps() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let stream = try LineStream(port: server.port)
        #expect(stream.call(.allocateServiceIPs, ["service": ["metadata": ["name": "other"]]])?["result"] != nil)
        let other = held(by: server.port)
        let words = "--workload pods --nodes 3 --connections 2 --warm-up 0.1 --duration 0.2"
        let gone = load(server.port, words)
        #expect(gone.status == 0 && gone.output.contains("removed       "), "\(gone.output) \(gone.errors)")
        #expect(held(by: server.port) == other)
        let kept = load(server.port, "\(words) --keep")
        #expect(kept.status == 0 && !kept.output.contains("removed"), "\(kept.output) \(kept.errors)")
        #expect(held(by: server.port) ?? 0 > (other ?? 0) + 3)
    }

    /// Runs for an hour, until a signal ends it.
    private func endlessLoad(_ port: Int, _ words: String) throws -> (process: Process, errors: Pipe) {
        let certificates = Certificates.shared
        let (process, errors) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: ServerProcess.program("tandem-load"))
        process.arguments =
            words.split(separator: " ").map(String.init) + [
                "--connections", "2", "--duration", "3600", "--quiet", "--server", "127.0.0.1:\(port)", "--ca-file",
                certificates.ca, "--cert-file", certificates.certificate("admin"), "--key-file",
                certificates.key("admin"),
            ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        try Children.start(process)
        // Until it is in the middle of it.
        while (held(by: port) ?? 0) < 100, process.isRunning { sched_yield() }
        return (process, errors)
    }

    @Test(
        "Ctrl-C and SIGTERM remove all objects of the run, in any phase",
        arguments: [
            ("--workload services --warm-up 0", SIGINT), ("--workload pods --warm-up 3600", SIGINT),
            ("--workload mixed --warm-up 0", SIGTERM), ("--workload churn --fill 100 --warm-up 0", SIGINT),
            ("--workload batch --transport http --warm-up 0", SIGINT),
        ])
    func cleansUpWhenInterrupted(_ words: String, _ signal: Int32) throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let (process, errors) = try endlessLoad(server.port, words)
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(process.terminationStatus == 128 + signal, "\(text)")
        #expect(text.hasPrefix("interrupted: ") && text.hasSuffix(" objects removed\n"), "\(text)")
        #expect(held(by: server.port) == 0)
    }

    @Test("with --keep Ctrl-C leaves the allocated objects")
    func keepsWhenInterrupted() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let (process, errors) = try endlessLoad(server.port, "--workload services --warm-up 0 --keep")
        kill(process.processIdentifier, SIGINT)
        process.waitUntilExit()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(process.terminationStatus == 130)
        #expect(text.hasPrefix("interrupted: objects in namespace load-") && text.hasSuffix(" are kept\n"), "\(text)")
        #expect(held(by: server.port) ?? 0 >= 100)
    }

    @Test("a second signal ends the program at once, where the server answers nothing any more")
    func endsAtTheSecondSignal() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let (process, errors) = try endlessLoad(server.port, "--workload services --warm-up 0")
        server.send(SIGSTOP)
        // Two of a kind may be delivered as one.
        kill(process.processIdentifier, SIGINT)
        kill(process.processIdentifier, SIGTERM)
        process.waitUntilExit()
        server.send(SIGCONT)
        #expect([128 + SIGINT, 128 + SIGTERM].contains(process.terminationStatus))
        #expect(errors.fileHandleForReading.readDataToEndOfFile().isEmpty)
        #expect(held(by: server.port) ?? 0 >= 100)
    }

    @Test("an earlier run is compared with this one, with the differences in the settings")
    func compares() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let old = "\(directory.path)/old.json"
        try """
        {"date":"2020-01-02T03:04:05Z","callsPerSecond":1,"perSecond":[1,1],"latencyMicroseconds":{"50":60000000,"99.99":60000000},
        "settings":{"workload":"services","transport":"stream","connections":7,"pipeline":16,"warm-up":0.1,"duration":0.3}
        \(#","padding":"\#(String(repeating: "x", count: 100_000))"}"#)
        """.write(toFile: old, atomically: true, encoding: .utf8)
        let words = "--workload services --connections 2 --warm-up 0.1 --duration 0.3"
        // The old report may be the file that the new one goes to.
        let result = load(server.port, "\(words) --compare \(old) --json \(old) --html \(directory.path)/report.html")
        #expect(result.status == 0, "\(result.errors)")
        #expect(
            result.output.contains("compared with the run 2020-01-02T03:04:05Z\n  other setting: connections 7 → 2\n"))
        let rows = result.output.split(separator: "\n").map { $0.split(separator: " ") }
        let p50 = rows.last { $0.first == "p50" } ?? []
        #expect(p50.count == 6 && p50[1] == "60000.000" && p50[4].hasPrefix("-"), "\(p50)")
        #expect(rows.contains { $0.first == "throughput" && $0.dropFirst().first == "1" && $0.contains("calls/s") })
        let page = try String(contentsOfFile: "\(directory.path)/report.html", encoding: .utf8)
        #expect(page.contains("Compared with the run 2020-01-02T03:04:05Z") && page.contains("line0 old"))
        // A shorter one has nothing of a longer one behind it.
        #expect(throws: Never.self) { try JSONValue(parsing: String(contentsOfFile: old, encoding: .utf8)) }
        // A report has all that a comparison needs.
        let again = load(server.port, "\(words) --compare \(old)")
        #expect(again.status == 0 && !again.output.contains("other setting") && again.output.contains("  p99.99 "))
    }

    @Test("churn fills the smaller range to its share and keeps it there")
    func keepsFilled() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, ["--service-cluster-ip-range=10.96.0.0/22,fd00:10:96::/108"])
        let result = load(server.port, "--workload churn --fill 90 --connections 2 --warm-up 0.1 --duration 0.3 --keep")
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
        // Before there is any load.
        for (words, message) in [
            ("--json /nowhere/x.json", "--json: /nowhere/x.json can't be written: No such file or directory"),
            ("--html /", "--html: / can't be written: Is a directory"),
            ("--compare /nowhere/x.json", "--compare: /nowhere/x.json: No such file or directory"),
            ("--compare /dev/null", "--compare: /dev/null: not a report that tandem-load --json wrote"),
        ] {
            let result = load(1, words)
            #expect(result.status == 2 && result.errors == "error: \(message)\n", "\(result.errors)")
        }
    }
}
