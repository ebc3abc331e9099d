import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Selection, order and output of `get`, as users of kubectl know them.
@Suite("tandemctl get", .serialized)
struct GetTests {
    private let directory = ScratchDirectory()

    private func filled() throws -> (ServerProcess, Ctl) {
        let server = try ServerProcess("\(directory.path)/data")
        let ctl = Ctl(port: server.port)
        let objects = """
            {kind: Service, metadata: {name: web, labels: {app: web, tier: front}}, spec: {clusterIP: 10.96.0.20}}
            ---
            {kind: Service, metadata: {name: db, labels: {app: db}}, spec: {clusterIP: 10.96.0.3}}
            ---
            {kind: Service, metadata: {name: bare}, spec: {clusterIP: 10.96.0.100}}
            ---
            {kind: Pod, metadata: {name: a, labels: {app: web}}, spec: {nodeName: n1}}
            ---
            {kind: Pod, metadata: {name: b, namespace: shop}, spec: {nodeName: n2}}
            """
        #expect(ctl("apply -f -", input: objects).status == 0)
        return (server, ctl)
    }

    private func lines(_ result: Command.Result) -> [String] {
        #expect(result.errors == "")
        return result.output.split(separator: "\n").map(String.init)
    }

    @Test("by labels and fields, of which a misspelt one is refused with the near one")
    func selects() throws {
        let (server, ctl) = try filled()
        defer { withExtendedLifetime(server) {} }
        func names(_ words: [String]) -> [String] { lines(ctl.run(["get"] + words + ["-o", "name"])) }
        for (selector, names) in [
            ("app=web", ["web"]), ("app==db", ["db"]), ("app!=web", ["bare", "db"]), ("app", ["db", "web"]),
            ("!app", ["bare"]), ("app in (web, db),tier!=front", ["db"]), ("app notin (web)", ["bare", "db"]),
            ("app=web,tier=back", []),
        ] {
            let found = ctl.run(["get", "svc", "-l", selector, "-o", "name"]).output
            #expect(found == names.map { "service/\($0)\n" }.joined(), "\(selector): \(found)")
        }
        #expect(names(["svc,pods", "-lapp=web"]) == ["service/web", "pod/a"])
        #expect(names(["pods", "-A", "--field-selector", "spec.nodeName=n2"]) == ["pod/b"])
        #expect(names(["pods", "-A", "--field-selector=metadata.namespace!=shop"]) == ["pod/a"])
        #expect(names(["svc", "--field-selector", "spec.clusterIP=10.96.0.3"]) == ["service/db"])
        #expect(names(["all"]) == ["service/bare", "service/db", "service/web", "pod/a"])
        for (words, part) in [
            (["pods", "--field-selector", "spec.nodename=n1"], "did you mean spec.nodeName?"),
            (["svc", "-l", "app in web"], "is no condition on a label"), (["svc", "web", "-l", "app"], "not both"),
            (["svcs"], "Did you mean svc?"),
        ] {
            let result = ctl.run(["get"] + words)
            #expect(result.status == 2 && result.errors.contains(part), "\(words): \(result.errors)")
        }

        // Deleting goes by labels as well.
        #expect(ctl("delete svc -l app=db --dry-run=server").output.contains("deleted (dry run): 10.96.0.3 released"))
        #expect(lines(ctl("delete svc -l app=db")) == [#"service "db" deleted: 10.96.0.3 released"#])
        #expect(names(["svc"]) == ["service/bare", "service/web"])
    }

    @Test("in order, addresses by value; with labels, without titles, with custom columns")
    func shows() throws {
        let (server, ctl) = try filled()
        defer { withExtendedLifetime(server) {} }
        let byAddress = lines(ctl("get svc --sort-by=.spec.clusterIP -o name"))
        #expect(byAddress == ["service/db", "service/web", "service/bare"])
        #expect(lines(ctl("get svc --sort-by={.metadata.labels.app} -o name")).first == "service/bare")
        let capacities = lines(ctl("get pools --sort-by .capacity -o custom-columns=C:.capacity --no-headers"))
        #expect(capacities.count > 4 && capacities == capacities.sorted { ($0.count, $0) < ($1.count, $1) })
        #expect(lines(ctl("get svc web --no-headers")).map { $0.prefix(14) } == ["web   ClusterI"])
        let labelled = lines(ctl("get svc web bare --show-labels")).map { $0.split(separator: " ").last ?? "" }
        #expect(labelled == ["LABELS", "app=web,tier=front", "<none>"])
        let own = ctl(
            "get svc web bare -o custom-columns=NAME:.metadata.name,APP:.metadata.labels.app,IPS:.spec.clusterIPs")
        #expect(lines(own) == ["NAME   APP      IPS", "web    web      10.96.0.20", "bare   <none>   10.96.0.100"])
        #expect(ctl("get svc -o custom-columns=A").errors.contains("no TITLE:PATH"))
        #expect(ctl("get svc -o jsonpth={.a}").errors.contains("there are table, wide, name"))
        // Texts in objects do not act on a terminal.
        let nasty = "{kind: Service, metadata: {name: odd, annotations: {a: \"x\\e[2Jy\\tz\"}}}"
        #expect(ctl("apply -f -", input: nasty).status == 0)
        #expect(ctl("get svc odd -o jsonpath={.metadata.annotations.a}").output == #"x\u001b[2Jy\tz"#)
    }
}
