import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing
import Yams

/// The dashboard and the alert rules, tested against the metrics of real servers. Grafana itself draws nothing here: the panels'
/// places, legends and variables are tested as data. `Tests/Dashboards/render.py` draws them, under load.
@Suite("Dashboard and alert rules", .serialized)
struct DashboardTests {
    private func dashboard() throws -> JSONValue {
        try JSONValue(parsing: try Project.text("docker/grafana/tandem.json"))
    }

    private func panels() throws -> [JSONValue] { try dashboard()["panels"]?.arrayValue ?? [] }

    /// A query with its variables filled in as Grafana does.
    private func filledIn(_ query: String) -> String {
        query.replacing("$job", with: ".*").replacing("$instance", with: ".*")
            .replacing("$__rate_interval", with: "10s")
    }

    /// Every query of the dashboard.
    private func queries() throws -> [String] {
        try panels().flatMap { $0["targets"]?.arrayValue ?? [] }.compactMap { $0["expr"]?.stringValue }.map(filledIn)
    }

    private func variables() throws -> [String] {
        (try dashboard()["templating"]?["list"]?.arrayValue ?? []).compactMap { $0["query"]?.stringValue }
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

    @Test("panels lie side by side on the grid, each with a title of its own, a unit and the chosen data source")
    func panelsHaveTheirPlaces() throws {
        let panels = try panels()
        var taken: [[Int]: String] = [:]
        for panel in panels {
            let title = panel["title"]?.stringValue ?? ""
            let place = ["x", "y", "w", "h"].map { panel["gridPos"]?[$0]?.intValue ?? -1 }
            try #require(place.allSatisfy { $0 >= 0 } && place[2] > 0 && place[3] > 0, "\(title)")
            #expect(place[0] + place[2] <= 24, "\(title) is past the right edge")
            for x in place[0]..<place[0] + place[2] {
                for y in place[1]..<place[1] + place[3] {
                    let other = taken.updateValue(title, forKey: [x, y])
                    #expect(other == nil, "\(title) lies on \(other ?? "")")
                }
            }
            guard panel["type"]?.stringValue != "row" else { continue }
            #expect(panel["fieldConfig"]?["defaults"]?["unit"]?.stringValue?.isEmpty == false, "\(title)")
            let targets = panel["targets"]?.arrayValue ?? []
            #expect(!targets.isEmpty && Set(targets.map { $0["refId"]?.stringValue ?? "" }).count == targets.count)
            for source in [panel["datasource"]] + targets.map({ $0["datasource"] }) {
                #expect(source?["uid"]?.stringValue == "${datasource}", "\(title)")
            }
        }
        #expect(Set(panels.compactMap { $0["id"]?.intValue }).count == panels.count)
        // No row of panels hangs below a gap.
        let rows = Set(taken.keys.map { $0[1] })
        #expect(rows.count == (rows.max() ?? 0) + 1)
        // A title occurs once in its row of the dashboard.
        var titles: Set<String> = []
        for panel in panels {
            if panel["type"]?.stringValue == "row" { titles = [] }
            let title = panel["title"]?.stringValue ?? ""
            #expect(!title.isEmpty && titles.insert(title).inserted, "\(title)")
        }
    }

    @Test("each panel has a description, and a type, units, thresholds and axes that Grafana shows as they are meant")
    func fieldsAreKnown() throws {
        let dashboard = try dashboard()
        // 39 is that of the Grafana in docker/compose.yaml; a later one would not be migrated.
        #expect((36...39).contains(dashboard["schemaVersion"]?.intValue ?? 0))
        #expect((1...40).contains(dashboard["uid"]?.stringValue?.count ?? 0))
        for panel in try panels() where panel["type"]?.stringValue != "row" {
            let title = panel["title"]?.stringValue ?? ""
            #expect(panel["description"]?.stringValue?.isEmpty == false, "\(title)")
            let defaults = panel["fieldConfig"]?["defaults"]
            let overrides = try #require(panel["fieldConfig"]?["overrides"]?.arrayValue, "\(title)")
            let names = (panel["targets"]?.arrayValue ?? []).compactMap { $0["refId"]?.stringValue }
            #expect(names.allSatisfy { $0.wholeMatch(of: /[A-Z]/) != nil }, "\(title)")
            var units = [defaults?["unit"]]
            for override in overrides {
                #expect(override["matcher"]?["id"]?.stringValue == "byFrameRefID", "\(title)")
                #expect(names.contains(override["matcher"]?["options"]?.stringValue ?? ""), "\(title)")
                units += (override["properties"]?.arrayValue ?? []).filter { $0["id"] == "unit" }.map { $0["value"] }
            }
            for unit in units {
                #expect(
                    ["short", "s", "bytes", "percentunit", "ops", "reqps"].contains(unit?.stringValue),
                    "\(title): \(unit ?? .null)")
            }
            switch panel["type"]?.stringValue {
            case "stat":
                // Grafana's own thresholds are red from 80 on; its own graph and size of text hide names.
                let steps = defaults?["thresholds"]?["steps"]?.arrayValue ?? []
                #expect(steps.first?["value"] == .null, "\(title) has no threshold below all values")
                let values = steps.dropFirst().map { $0["value"]?.intValue ?? -1 }
                #expect(values == values.sorted() && !values.contains(-1), "\(title)")
                #expect(
                    steps.allSatisfy { ["green", "orange", "red", "text"].contains($0["color"]?.stringValue) },
                    "\(title)")
                #expect(["auto", "name"].contains(panel["options"]?["textMode"]?.stringValue), "\(title)")
                #expect(panel["options"]?["reduceOptions"]?["calcs"] == ["lastNotNull"], "\(title)")
            case "timeseries":
                // An axis begins at 0, so that what hardly changes looks like it; a logarithmic one can't.
                let scale = defaults?["custom"]?["scaleDistribution"]?["type"]?.stringValue ?? "linear"
                #expect(defaults?["min"]?.intValue == (scale == "log" ? nil : 0), "\(title)")
                #expect(defaults?["unit"]?.stringValue != "percentunit" || defaults?["max"]?.intValue == 1, "\(title)")
            default: Issue.record("\(title) has the type \(panel["type"] ?? .null)")
            }
        }
    }

    @Test("queries look at the chosen servers, over windows that follow the scrape interval, which Grafana is told")
    func queriesFollowTheVariables() throws {
        let chosen = #"job=~"$job",instance=~"$instance""#
        let defined = Set(
            (try dashboard()["templating"]?["list"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue })
        let queries = try panels().flatMap { $0["targets"]?.arrayValue ?? [] }.compactMap { $0["expr"]?.stringValue }
        for query in queries {
            #expect(query.ranges(of: chosen).count == metricNames(in: query).count, "\(query)")
            for name in query.matches(of: /\$(\w+)/).map({ String($0.output.1) }) {
                #expect(defined.contains(name) || name == "__rate_interval", "\(name) of \(query)")
            }
            for window in query.matches(of: /(\w+)\([^()\[]*\[([^\]]*)\]/) {
                #expect(
                    window.output.2 == (window.output.1 == "deriv" ? "1h" : "$__rate_interval"), "\(query)")
            }
        }
        let source =
            try Yams.load(
                yaml: try Project.text("docker/grafana/provisioning/datasources/prometheus.yaml")) as? [String: Any]
        let settings = (source?["datasources"] as? [[String: Any]])?.first?["jsonData"] as? [String: Any]
        let scrape = try Yams.load(yaml: try Project.text("docker/prometheus/prometheus.yaml")) as? [String: Any]
        let interval = (scrape?["global"] as? [String: Any])?["scrape_interval"] as? String
        #expect(interval != nil && settings?["timeInterval"] as? String == interval)
    }

    /// Grafana's legend of a line; nil where the series lacks a label that it names.
    private func legend(_ format: String, _ series: JSONValue) -> String? {
        var text = format
        for part in format.matches(of: /\{\{ *(\w+) *\}\}/) {
            // "ports" is a label of ranges of node ports alone, and "cidr" of the others.
            let isEither = ["ports", "cidr", "family"].contains(part.output.1)
            guard let value = series["metric"]?[String(part.output.1)]?.stringValue ?? (isEither ? "" : nil) else {
                return nil
            }
            text = text.replacing(part.output.0, with: value)
        }
        return text
    }

    @Test(
        "with two servers each line of a panel has a legend of its own, and each variable values",
        .enabled(if: Project.tool("prometheus") != nil))
    func legendsTellLinesApart() throws {
        let (one, other) = (try BusyServer(), try BusyServer())
        let prometheus = try PrometheusProcess(scraping: one.server.port, other.server.port)
        let targets = try panels().flatMap { panel in
            (panel["targets"]?.arrayValue ?? []).map {
                (panel["title"]?.stringValue ?? "", panel["id"]?.intValue ?? 0, $0)
            }
        }
        let deadline = Date(timeIntervalSinceNow: 60)
        var answers: [Int: [JSONValue]] = [:]
        repeat {
            try one.work()
            try other.work()
            for (index, target) in targets.enumerated() where answers[index, default: []].isEmpty {
                answers[index] = prometheus.series(filledIn(target.2["expr"]?.stringValue ?? ""))
            }
        } while answers.values.contains { $0.isEmpty } && Date() < deadline
        // Those that were asked for before the second server was scraped.
        for (index, target) in targets.enumerated() {
            answers[index] = prometheus.series(filledIn(target.2["expr"]?.stringValue ?? ""))
        }
        #expect(prometheus.series("tandem_ready").count == 2)
        var legends: [Int: Set<String>] = [:]
        for (index, (title, panel, target)) in targets.enumerated() {
            for series in answers[index] ?? [] {
                guard let legend = legend(target["legendFormat"]?.stringValue ?? "", series) else {
                    Issue.record("\(title): \(target["legendFormat"]?.stringValue ?? "") has no label in \(series)")
                    continue
                }
                #expect(
                    !legend.isEmpty && legends[panel, default: []].insert(legend).inserted,
                    "\(title): two lines are called \"\(legend)\"")
            }
        }
        for variable in try variables() where variable.hasPrefix("label_values(") {
            let parts = variable.dropFirst("label_values(".count).dropLast().split(separator: ",")
            let label = try #require(parts.last).trimmingCharacters(in: .whitespaces)
            let series = prometheus.series(filledIn(parts.dropLast().joined(separator: ",")))
            #expect(series.contains { $0["metric"]?[label]?.stringValue?.isEmpty == false }, "\(variable)")
        }
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

/// Debian's Prometheus on a port of loopback, scraping servers every half second.
private final class PrometheusProcess {
    private let directory = ScratchDirectory()
    private let process = Process()
    private let port: Int

    init(scraping servers: Int...) throws {
        let targets = servers.map { "\"127.0.0.1:\($0)\"" }.joined(separator: ",")
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
            static_configs: [{targets: [\(targets)]}]
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
        try Children.start(process)
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

    /// The series that a query has now.
    func series(_ text: String) -> [JSONValue] { query(text)?["data"]?["result"]?.arrayValue ?? [] }
}
