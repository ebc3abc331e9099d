import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Verbs and flags that kubectl's users reach for without thinking.
@Suite("tandemctl by reflex", .serialized)
struct ReflexTests {
    private let directory = ScratchDirectory()

    private func start() throws -> (ServerProcess, Ctl) {
        let server = try ServerProcess("\(directory.path)/data")
        return (server, Ctl(port: server.port))
    }

    private func run(_ ctl: Ctl, _ environment: [String], _ words: [String], input: String? = nil) -> Command.Result {
        let certificates = Certificates.shared
        return Command.run(
            "env",
            [
                "TANDEM_SERVER=127.0.0.1:\(ctl.port)", "TANDEM_CA_FILE=\(certificates.ca)",
                "TANDEM_CERT_FILE=\(certificates.certificate("admin"))", "TANDEM_KEY_FILE=\(certificates.key("admin"))",
                "TMPDIR=\(directory.path)",
            ] + environment + [ServerProcess.program("tandemctl")] + words, input: input)
    }

    private static let web = """
        kind: Service
        metadata: {name: web, labels: {app: web}}
        spec: {ipFamilyPolicy: PreferDualStack, ports: [{name: http, port: 80}]}
        """

    @Test("a verb that there is not is answered with the one that is near")
    func namesNearVerbs() throws {
        let program = ServerProcess.program("tandemctl")
        for (words, meant) in [
            ("gte svc", "tandemctl get"), ("aply -f x", "tandemctl apply"), ("descibe svc", "tandemctl describe"),
            ("create -f x", "tandemctl apply"), ("config use-contxt a", "tandemctl config use-context"),
            ("--server=a:1 dlete svc/a", "tandemctl delete"),
        ] {
            let result = Command.run(program, words.split(separator: " ").map(String.init))
            #expect(result.status == 2 && result.errors.hasSuffix("did you mean \"\(meant)\"?\n"), "\(result.errors)")
        }
        let far = Command.run(program, ["frobnicate"])
        #expect(far.status == 2 && far.errors.contains("there are get, describe, apply"), "\(far.errors)")
    }

    @Test(
        "a wrong command line has one line with its error, which names the flag, the fault and the cure; no list of all flags",
        arguments: [
            ("tandemctl", "get svc --outptu json", "Unknown option '--outptu'. Did you mean '--output'?"),
            (
                "tandemctl", "get svc -v=x",
                "The value 'x' is invalid for '-v <level>': write a whole number, such as 10"
            ),
            (
                "tandemctl", "dashboard --port x",
                "The value 'x' is invalid for '--port <port>': write a whole number, such as 10"
            ),
            ("tandemctl", "apply", "Give the manifests with -f: a file, a directory, or -."),
            ("tandemctl", "lookup", "Missing expected argument '<address>'"),
            (
                "tandemctl", "apply --dry-run=client -f x",
                "The value 'client' is invalid for '--dry-run <server|none>': the server alone can tell: give --dry-run=server"
            ),
            ("tandem-load", "--rate x", "The value 'x' is invalid for '--rate <rate>': write a number, such as 2.5"),
            (
                "tandem-load", "--nodes 1.5",
                "The value '1.5' is invalid for '--nodes <nodes>': write a whole number, such as 10"
            ),
            (
                "tandem-controller", "--leader-elect maybe",
                "The value 'maybe' is invalid for '--leader-elect <bool>': write true or false"
            ),
            (
                "tandem-controller", "uninstall --release-grace-period x",
                "The value 'x' is invalid for '--release-grace-period <seconds>': write a whole number, such as 10"
            ),
        ])
    func refusesWrongCommandLines(program: String, words: String, error: String) {
        let result = Command.run(ServerProcess.program(program), words.split(separator: " ").map(String.init))
        #expect(result.status == 2)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.first == "Error: \(error)")
        #expect(
            lines.count { $0.hasPrefix("Error:") } == 1
                && lines.last?.hasSuffix("--help' for more information.") == true)
        #expect(
            lines.first { $0.hasPrefix("Usage:") }.map { $0.count < 120 && $0.contains("ptions>") } == true, "\(lines)")
    }

    @Test("describe tells all of a Service, a Node with its Pods, a Pod and a pool")
    func describes() throws {
        let (server, ctl) = try start()
        defer { withExtendedLifetime(server) {} }
        let pod = "---\nkind: Pod\nmetadata: {name: p, namespace: shop}\nspec: {nodeName: n1}\n"
        #expect(ctl("apply -f -", input: Self.web + "\n" + pod).status == 0)
        func fields(_ words: String) -> [String: String] {
            let result = ctl(words)
            #expect(result.status == 0, "\(result.errors)")
            let pairs = result.output.split(separator: "\n").compactMap {
                $0.firstMatch(of: /^([A-Z][A-Za-z ]*): +(.+)$/)?.output
            }
            return Dictionary(pairs.map { (String($0.1), String($0.2)) }, uniquingKeysWith: { first, _ in first })
        }
        let service = fields("describe svc/web")
        #expect(
            service["Labels"] == "app=web" && service["Ports"] == "http 80/TCP" && service["Annotations"] == "<none>")
        #expect(service["IP Family Policy"] == "PreferDualStack" && service["IPs"]?.hasPrefix("10.96.") == true)
        let node = ctl("describe node n1").output
        #expect(node.contains("PodCIDRs:           10.244.0.0/24\n                    fd00:10:244::/64\n"), "\(node)")
        #expect(node.contains("Ready:              true\n"))
        #expect(node.contains("Pods:               1\n                    shop/p   10.244.0.2,fd00:10:244::2\n"))
        #expect(fields("describe pod p -n shop")["Node"] == "n1")
        #expect(fields("describe pool services-ipv4")["Cooling Down"] == "0")
        #expect(ctl("describe svc -l app=web").output == ctl("describe svc/web").output)
        #expect(ctl("describe svc/none").status == 1)
    }

    @Test("diff shows the changes of an apply, changes nothing, and has a status of 1 where there are some")
    func showsDifferences() throws {
        let (server, ctl) = try start()
        defer { withExtendedLifetime(server) {} }
        #expect(ctl("apply -f -", input: Self.web).status == 0)
        #expect(run(ctl, [], ["diff", "-f", "-"], input: Self.web).status == 0)
        let single = Self.web.replacing("PreferDualStack", with: "SingleStack")
        let changed = run(ctl, [], ["diff", "-f", "-"], input: single)
        #expect(changed.status == 1)
        #expect(changed.output.contains("-  ipFamilyPolicy: PreferDualStack\n+  ipFamilyPolicy: SingleStack\n"))
        #expect(changed.output.contains("-  - fd00:10:96::"))
        #expect(!changed.output.contains("resourceVersion"))
        let both = run(ctl, [], ["diff", "-f", "-"], input: "kind: Node\nmetadata: {name: n9}\n---\n" + Self.web)
        #expect(both.status == 1 && both.output.contains("+  podCIDR: 10.244."), "\(both.output)\(both.errors)")
        #expect(ctl("get nodes -o name").output == "")
        #expect(ctl("get svc web -o jsonpath={.spec.ipFamilyPolicy}").output == "PreferDualStack")
        let external = run(ctl, ["TANDEM_EXTERNAL_DIFF=ls"], ["diff", "-f", "-"], input: single)
        #expect(external.output.contains("v1.Service.default.web"))
        let refused = run(ctl, [], ["diff", "-f", "-"], input: Self.web.replacing("PreferDualStack", with: "Banana"))
        #expect(refused.status == 2 && refused.errors.contains("Unsupported value"), "\(refused.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["data"])
    }

    @Test("edit updates a Service with the text of an editor; a refused text is kept in a file")
    func edits() throws {
        let (server, ctl) = try start()
        defer { withExtendedLifetime(server) {} }
        #expect(ctl("apply -f -", input: Self.web).status == 0)
        func edit(_ editor: String, _ words: [String] = ["svc/web"]) -> Command.Result {
            run(ctl, ["EDITOR=false", "TANDEM_EDITOR=\(editor)"], ["edit"] + words)
        }
        let edited = edit("sed -i s/PreferDualStack/SingleStack/")
        #expect(edited.output.hasPrefix("service/web edited: fd00:10:96::"), "\(edited.errors)")
        #expect(edit("true").output == "Edit cancelled, no changes made.\n")
        #expect(edit("cp /dev/null").output == "Edit cancelled, no changes made.\n")
        let refused = edit("sed -i s/SingleStack/Banana/", ["svc", "web"])
        #expect(refused.status == 1 && refused.errors.contains("Unsupported value"), "\(refused.errors)")
        let kept = try #require(refused.errors.firstMatch(of: /kept in (\S+)/)?.output.1)
        #expect(try String(contentsOfFile: String(kept), encoding: .utf8).contains("ipFamilyPolicy: Banana\n"))
        // Another client was faster.
        let racing =
            "f() { \(ServerProcess.program("tandemctl")) delete svc/web >/dev/null; sed -i s/http/https/ \"$1\"; }; f"
        let raced = edit(racing)
        #expect(raced.status == 1 && raced.errors.contains("NotFound"), "\(raced.errors)")
        #expect(edit("true", ["pod/p"]).errors.contains("Only Services can be edited"))
    }

    @Test("wait ends when objects are there, are gone or have a value, and else in time")
    func waits() async throws {
        let (server, ctl) = try start()
        defer { withExtendedLifetime(server) {} }
        #expect(ctl("apply -f -", input: Self.web).status == 0)
        #expect(ctl("wait --for=create svc/web").output == "service/web condition met\n")
        #expect(
            ctl("wait --for=jsonpath={.spec.type}=ClusterIP svc -l app=web").output == "service/web condition met\n")
        #expect(ctl("wait --for=jsonpath={.spec.clusterIP} svc/web svc/none").errors.contains("\"none\" not found"))
        #expect(ctl("wait --for=delete svc/none").status == 0)
        let late = ctl("wait --for=delete svc/web --timeout=0")
        #expect(late.status == 1 && late.errors == "error: timed out waiting for the condition on service/web\n")
        #expect(ctl("wait --for=create svc/web svc/none --timeout=200ms").errors.contains("on service/none"))
        #expect(ctl("wait --for=ready svc/web").errors.contains("there are create, delete and jsonpath"))
        let waiting = Task { try await onOwnThread { ctl("wait --for=delete svc/web --timeout=60s") } }
        #expect(ctl("delete svc/web").status == 0)
        #expect(try await waiting.value.output == "service/web condition met\n")
    }

    @Test("-v=6 shows messages sent and received, --request-timeout limits the wait, and neither verb nor value is far")
    func showsTheWire() throws {
        let (server, ctl) = try start()
        #expect(ctl("apply -f -", input: Self.web).status == 0)
        let shown = ctl("-v=6 get svc/web -o name")
        #expect(shown.output == "service/web\n")
        let lines = shown.errors.split(separator: "\n")
        #expect(lines.count == 2, "\(shown.errors)")
        #expect(
            lines.first?.contains(#" ms > 127.0.0.1 port \#(ctl.port) {"jsonrpc":"2.0","id":1,"method":"GetService""#)
                == true)
        #expect(lines.last?.contains(#" ms < 127.0.0.1 port \#(ctl.port) {"jsonrpc":"2.0","id":1,"result""#) == true)
        #expect(ctl("get svc/web -o name -v 5").errors == "")
        let long = ctl("version --v=6").errors.split(separator: "\n").last ?? ""
        #expect(long.utf8.count < 1_200 && long.hasSuffix("…"))
        #expect(ctl("version -v8").errors.utf8.count > 10_000)
        server.send(SIGSTOP)
        let late = ctl("get svc --request-timeout=200ms")
        server.send(SIGCONT)
        #expect(late.status == 3 && ["in time", "too long"].contains(where: late.errors.contains), "\(late.errors)")
        #expect(ctl("get svc --request-timeout=soon").status == 2)
    }

    @Test("--dry-run as kubectl has it; the server's messages name flags here")
    func dryRuns() throws {
        let (server, ctl) = try start()
        defer { withExtendedLifetime(server) {} }
        for flag in ["--dry-run", "--dry-run=server"] {
            #expect(ctl("apply \(flag) -f -", input: Self.web).output == "service/web created (dry run)\n")
        }
        #expect(ctl("apply --dry-run=client -f -", input: Self.web).errors.contains("give --dry-run=server"))
        #expect(ctl("apply --dry-run=none -f-", input: Self.web).output == "service/web created\n")
        #expect(ctl("apply -f -", input: "{kind: Pod, metadata: {name: p}, spec: {nodeName: n1}}").status == 0)
        let refused = ctl("delete node n1")
        #expect(refused.errors.contains("or give --force to release") && !refused.errors.contains("\"force\""))
        let outside = ctl(
            "import -f -",
            input:
                "{kind: Node, metadata: {name: n2, uid: u}, spec: {podCIDR: 172.16.0.0/24, podCIDRs: [172.16.0.0/24]}}")
        #expect(
            outside.errors.contains("--out-of-range") && !outside.errors.contains("outOfRange"), "\(outside.errors)")
    }

    @Test("a fault of a file is reported with its line, document and object, in plain words")
    func namesPlaces() throws {
        let (server, ctl) = try start()
        defer { withExtendedLifetime(server) {} }
        let file = "\(directory.path)/two.yaml"
        func write(_ text: String) throws { try text.write(toFile: file, atomically: true, encoding: .utf8) }
        let good = "# One\nkind: Service\nmetadata: {name: good}\n---\n\n# Two\n"
        try write(good + "kind: Service\nmetadata: {name: bad}\nspec: {ipFamilyPolicy: Banana}\n")
        let refused = ctl("apply -f \(file)")
        #expect(refused.output == "service/good created\n")
        #expect(
            refused.errors.hasPrefix("service/bad of \(file), line 7 (document 2):\nError from server (Invalid)"),
            "\(refused.errors)")
        for (text, part) in [
            ("kind: [\n", "line 8 (document 2) is neither YAML nor JSON"),
            ("metadata: {name: x}\n", "line 7 (document 2): the object \"x\" has no kind"),
            (
                "kind: service\nmetadata: {name: x}\n",
                "line 7 (document 2): kind service of \"x\" is not known; Service is"
            ),
            ("kind: Pod\n", "line 7 (document 2): the Pod has no metadata.name"),
            ("- 1\n", "line 7 (document 2) is no object"),
        ] {
            try write(good + text)
            let result = ctl("apply -f \(file)")
            #expect(result.status == 2 && result.errors.contains("\(file), \(part)"), "\(text): \(result.errors)")
        }
        try write("{\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"}}\n\n{\"kind\":\"Pod\"}\n")
        #expect(ctl("apply -f \(file)").errors.contains("\(file), line 3 (document 2): the Pod"))
        try write("kind: Service\nmetadata: {name: a}\nspec: {ipFamilypolicy: SingleStack}\n")
        #expect(ctl("apply -f \(file)").errors.contains("service/a of \(file), line 1 (document 1): unknown field"))
        #expect(
            ctl("apply -f /nowhere.yaml").errors
                == "error: -f: /nowhere.yaml can't be read: No such file or directory\n")
        #expect(ctl("apply -f \(directory.path)/data/tandem.db").errors.contains("neither YAML nor JSON"))
    }

    @Test("bash completes verbs, kinds, names from the server and contexts")
    func completes() throws {
        let (server, ctl) = try start()
        defer { withExtendedLifetime(server) {} }
        let names = ["web", "worker", "db"].map { "{kind: Service, metadata: {name: \($0)}}\n---\n" }
        #expect(ctl("apply -f -", input: names.joined()).status == 0)
        #expect(ctl("apply -n shop -f -", input: "{kind: Service, metadata: {name: till}}").status == 0)
        let script = """
            source <(tandemctl completion bash)
            try() {
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMPREPLY=()
                COMP_POINT=${#COMP_LINE}
                _tandemctl tandemctl "${@: -1}" "${@: -2:1}"
                echo "${COMPREPLY[*]}"
            }
            try tandemctl desc
            try tandemctl get ser
            try tandemctl get svc w
            try tandemctl get svc/wo
            try tandemctl get svc web w
            try tandemctl get svc -n shop t
            try tandemctl completion f
            """
        let programs = (ServerProcess.program("tandemctl") as NSString).deletingLastPathComponent
        let certificates = Certificates.shared
        let result = Command.run(
            "env",
            [
                "TANDEM_SERVER=127.0.0.1:\(ctl.port)", "TANDEM_CA_FILE=\(certificates.ca)",
                "TANDEM_CERT_FILE=\(certificates.certificate("admin"))", "TANDEM_KEY_FILE=\(certificates.key("admin"))",
                "PATH=\(programs):\(ProcessInfo.processInfo.environment["PATH"] ?? "")", "bash", "-c", script,
            ])
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(
            lines == ["describe", "server service", "web worker", "svc/worker", "worker", "till", "fish", ""]
                || lines == ["describe", "service server", "web worker", "svc/worker", "worker", "till", "fish", ""],
            "\(result.output)\(result.errors)")
        for shell in ["zsh", "fish"] {
            #expect(
                Command.run(ServerProcess.program("tandemctl"), ["completion", shell]).output.contains("tandemctl"))
        }
    }
}
