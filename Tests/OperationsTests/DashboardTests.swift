import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing
import Yams

/// The dashboard and the alert rules, held to what a real server shows.
@Suite("Dashboard and alert rules", .serialized)
struct DashboardTests {
    /// Every query of the dashboard, with its variables filled in as Grafana does.
    private func queries() throws -> [String] {
        let dashboard = try JSONValue(parsing: try Project.text("docker/grafana/tandem.json"))
        let panels = dashboard["panels"]?.arrayValue ?? []
        let queries = panels.flatMap { $0["targets"]?.arrayValue ?? [] }.compactMap { $0["expr"]?.stringValue }
        return queries.map {
            $0.replacing("$job", with: ".*").replacing("$instance", with: ".*").replacing(
                "$__rate_interval", with: "10s")
        }
    }

    private func variables() throws -> [String] {
        let dashboard = try JSONValue(parsing: try Project.text("docker/grafana/tandem.json"))
        return (dashboard["templating"]?["list"]?.arrayValue ?? []).compactMap { $0["query"]?.stringValue }
    }

    private func rules() throws -> [String] {
        let document = try Yams.load(yaml: try Project.text("docker/prometheus/tandem.rules.yaml")) as? [String: Any]
        let groups = document?["groups"] as? [[String: Any]] ?? []
        return groups.flatMap { $0["rules"] as? [[String: Any]] ?? [] }.compactMap { $0["expr"] as? String }
    }

    private func metricNames(in query: String) -> [String] {
        query.matches(of: /\b(tandem|kube|node|process)_[a-zA-Z0-9_]+/).map { String($0.output.0) }
    }

    @Test(
        "every metric of the dashboard and of the rules is one that the server has, with the labels that are asked for")
    func namesAreReal() throws {
        let busy = try BusyServer()
        let names = MetricsReader(port: busy.server.port).names
        let (queries, rules) = (try queries(), try rules())
        #expect(queries.count > 30 && rules.count > 10)
        for query in queries + rules + (try variables()) {
            for name in metricNames(in: query) {
                #expect(names.contains(name), "\(name) of \(query)")
            }
        }
        // And none that operators are not shown.
        let shown = Set((queries + rules).flatMap(metricNames))
        for name in names where name.hasPrefix("tandem_") || name.hasPrefix("kube_") {
            let family = name.replacing(/_(sum|count|bucket)$/, with: "")
            #expect(shown.contains { $0.hasPrefix(family) }, "\(name) is on no panel and in no rule")
        }
    }

    @Test("promtool accepts the rules and the scrape configuration", .enabled(if: Project.tool("promtool") != nil))
    func promtoolAccepts() throws {
        let promtool = try #require(Project.tool("promtool"))
        let rules = Command.run(promtool, ["check", "rules", "\(Project.root)/docker/prometheus/tandem.rules.yaml"])
        #expect(rules.status == 0, "\(rules.errors)")
        let scrape = Command.run(
            promtool, ["check", "config", "--syntax-only", "\(Project.root)/docker/prometheus/prometheus.yaml"])
        #expect(scrape.status == 0, "\(scrape.errors)")
    }

    @Test("a real Prometheus answers every query of the dashboard", .enabled(if: Project.tool("prometheus") != nil))
    func prometheusAnswers() throws {
        let busy = try BusyServer()
        let prometheus = try PrometheusProcess(scraping: busy.server.port)
        var open = try queries()
        // Rates need two scrapes, and something that happened between them.
        let deadline = Date(timeIntervalSinceNow: 60)
        while !open.isEmpty, Date() < deadline {
            try busy.work()
            open = open.filter { (prometheus.query($0)?["data"]?["result"]?.arrayValue ?? []).isEmpty }
        }
        #expect(open.isEmpty, "no answer to: \(open.joined(separator: "\n"))")
        // An alert of each kind is known, and the server that is up raises none of them for being down.
        let rules = prometheus.get("/api/v1/rules")?["data"]?["groups"]?.arrayValue?.first?["rules"]?.arrayValue ?? []
        #expect(rules.count == (try self.rules()).count)
        #expect(rules.allSatisfy { $0["health"] != "err" }, "\(rules)")
    }
}

/// Debian's Prometheus on a port of loopback, scraping one server every half second.
private final class PrometheusProcess {
    private let directory = ScratchDirectory()
    private let process = Process()
    private let port: Int

    init(scraping target: Int) throws {
        let certificates = Certificates.shared
        try """
        global: {scrape_interval: 500ms, evaluation_interval: 1s}
        rule_files: ["\(Project.root)/docker/prometheus/tandem.rules.yaml"]
        scrape_configs:
          - job_name: tandem
            scheme: https
            tls_config:
              ca_file: \(certificates.ca)
              cert_file: \(certificates.certificate("viewer"))
              key_file: \(certificates.key("viewer"))
            static_configs: [{targets: ["127.0.0.1:\(target)"]}]
        """.write(toFile: "\(directory.path)/prometheus.yaml", atomically: true, encoding: .utf8)
        port = Self.freePort()
        process.executableURL = URL(fileURLWithPath: Project.tool("prometheus")!)
        process.arguments = [
            "--config.file=\(directory.path)/prometheus.yaml", "--storage.tsdb.path=\(directory.path)/data",
            "--web.listen-address=127.0.0.1:\(port)",
        ]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        while process.isRunning, get("/api/v1/status/buildinfo") == nil {}
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    private static func freePort() -> Int {
        Int(
            Command.run(
                "python3",
                ["-c", "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"]
            ).output.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 9090
    }

    func get(_ path: String, _ arguments: [String] = []) -> JSONValue? {
        try? JSONValue(
            parsing: Command.run("curl", ["-sS", "--max-time", "10"] + arguments + ["http://127.0.0.1:\(port)\(path)"])
                .output)
    }

    func query(_ text: String) -> JSONValue? {
        get("/api/v1/query", ["--data-urlencode", "query=\(text)"])
    }
}
