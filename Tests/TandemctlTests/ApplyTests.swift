import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("tandemctl apply and delete", .serialized)
struct ApplyTests {
    private let directory = ScratchDirectory()

    private func server(_ flags: [String] = []) throws -> ServerProcess {
        try ServerProcess("\(directory.path)/data", ServerProcess.ranges + flags)
    }

    private func write(_ files: [String: String]) throws {
        for (name, text) in files {
            let file = URL(fileURLWithPath: "\(directory.path)/\(name)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
    }

    private static func service(_ name: String, _ spec: String = "{}") -> String {
        "---\nkind: Service\napiVersion: v1\nmetadata: {name: \(name)}\nspec: \(spec)\n"
    }

    @Test("objects of other kinds are passed over with a word each")
    func skipsOthers() throws {
        let server = try server()
        let ctl = Ctl(port: server.port)
        let others = """
            apiVersion: v1
            kind: Namespace
            metadata: {name: shop}
            ---
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web}
            ---
            apiVersion: serving.knative.dev/v1
            kind: Service
            metadata: {name: functions}

            """
        let applied = ctl("apply -f -", input: others + Self.service("web"))
        #expect(applied.status == 0)
        #expect(applied.output == "service/web created\n")
        #expect(
            applied.errors == """
                namespace/shop skipped: kind Namespace has no addresses
                deployment/web skipped: kind Deployment has no addresses
                service/functions skipped: kind Service of serving.knative.dev/v1 has no addresses

                """)
        let none = ctl("apply -f -", input: others)
        #expect(none.status == 2)
        #expect(none.errors.hasSuffix("error: -f: no Service, Node or Pod in -\n"), "\(none.errors)")
        #expect(ctl("apply -f -", input: "kind: service\nmetadata: {name: a}\n").errors.contains("Service is"))
        #expect(ctl("delete -f -", input: others + Self.service("web")).status == 0)
        #expect(ctl("get svc").errors == "No resources found in default namespace.\n")
    }

    @Test("files, directories, and with -R those in them; lists whose items have no kind; any encoding")
    func readsDirectories() throws {
        let server = try server()
        let ctl = Ctl(port: server.port)
        try write([
            "m/b.yaml": Self.service("b"), "m/a.yml": Self.service("a"), "m/notes.txt": "[",
            "m/inner/c.yaml": Self.service("c"),
            "other.txt": Self.service("d"), "m/e.json": #"{"kind":"Service","metadata":{"name":"e"}}"#,
            "list.yaml": "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: f}\n- metadata: {name: g}\n",
        ])
        let path = directory.path
        #expect(
            ctl.run(["apply", "-f", "\(path)/m", "-f", "\(path)/other.txt"]).output
                == "service/a created\nservice/b created\nservice/e created\nservice/d created\n")
        #expect(
            ctl.run(["apply", "-R", "-f", "\(path)/m"]).output
                == "service/a unchanged\nservice/b unchanged\nservice/e unchanged\nservice/c created\n")
        #expect(ctl.run(["apply", "-f", "\(path)/list.yaml"]).output == "service/f created\nservice/g created\n")
        try Data(Array(("\u{FEFF}" + Self.service("h")).utf16).flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
            .write(to: URL(fileURLWithPath: "\(path)/h.yaml"))
        #expect(ctl.run(["apply", "-f", "\(path)/h.yaml"]).output == "service/h created\n")
        let deleted = ctl.run(["delete", "-R", "-f", "\(path)/m"])
        #expect(
            deleted.output.split(separator: "\n").map { $0.prefix(19) }
                == ["a", "b", "e", "c"].map { "service \"\($0)\" deleted" })
        let again = ctl.run(["delete", "-f", "\(path)/m"])
        #expect(again.status == 1)
        #expect(again.errors.hasSuffix("error: 3 of 3 objects could not be deleted\n"), "\(again.errors)")
        #expect(ctl.run(["delete", "--ignore-not-found", "-f", "\(path)/m"]).status == 0)
    }

    @Test("a member that Kubernetes has not is warned of, refused or passed over, with the one that is near")
    func validates() throws {
        let server = try server()
        let ctl = Ctl(port: server.port)
        let text = Self.service(
            "web", "{ipFamilypolicy: RequireDualStack, ports: [{port: 80, nodeport: 1}], colour: red}")
        let faults = [
            #"unknown field "spec.ipFamilypolicy", did you mean "ipFamilyPolicy"?"#, #"unknown field "spec.colour""#,
            #"unknown field "spec.ports[0].nodeport", did you mean "nodePort"?"#,
        ]
        let strict = ctl("apply --validate=strict -f -", input: text + Self.service("right"))
        #expect(strict.status == 1)
        #expect(strict.output == "service/right created\n")
        #expect(
            strict.errors.contains(
                " (document 1):\nError from server (BadRequest): strict decoding error: \(faults.joined(separator: ", "))\n"
            ),
            "\(strict.errors)")
        #expect(ctl("get svc web").status == 1)
        let warned = ctl("apply -f -", input: text)
        #expect(warned.status == 0)
        #expect(
            warned.errors
                == faults.map { "Warning: service/web of standard input, line 2 (document 1): \($0)\n" }.joined())
        #expect(ctl("apply --validate=ignore -f -", input: text).errors.isEmpty)
        #expect(ctl("apply --validate=perhaps -f -", input: text).status == 2)
        // A cluster's objects have no unknown members.
        let whole = ctl("get svc right -o yaml").output
        let back = ctl("apply --validate=strict -f -", input: whole)
        #expect(back.output == "service/right unchanged\n", "\(back.errors)")
        for (kind, near) in [("Pod", "nodename: n1"), ("Node", "podcidrs: []")] {
            let result = ctl("apply -f -", input: "kind: \(kind)\nmetadata: {name: x, namspace: y}\nspec: {\(near)}\n")
            #expect(result.errors.contains("\"metadata.namspace\", did you mean \"namespace\"?"), "\(result.errors)")
            #expect(result.errors.contains("\"spec.\(near.prefix { $0 != ":" })\", did you mean"), "\(result.errors)")
        }
    }

    @Test("many objects go in batches, nodes before their pods, and are told in the order of the file")
    func appliesInBatches() throws {
        let server = try server(["--auto-register-nodes=false"])
        let ctl = Ctl(port: server.port)
        let pods = (0..<20).map { "---\nkind: Pod\nmetadata: {name: p\($0)}\nspec: {nodeName: n\($0 % 2)}\n" }
        let services = (0..<980).map { Self.service("s\($0)", "{ipFamilyPolicy: PreferDualStack}") }
        let nodes = (0..<2).map { "---\nkind: Node\nmetadata: {name: n\($0)}\n" }
        // Twice in one file: one after the other.
        let changed = Self.service("s7", "{ipFamilyPolicy: PreferDualStack, selector: {app: x}}")
        let text = (pods + services + nodes + [changed]).joined()
        func lines(_ first: String, _ node: String, _ last: String) -> [String] {
            (0..<20).map { "pod/p\($0) \(first)" } + (0..<980).map { "service/s\($0) \(first)" }
                + (0..<2).map { "node/n\($0) \(node)" } + ["service/s7 \(last)"]
        }
        let before = commits(server)
        let created = ctl("apply -f -", input: text)
        #expect(created.errors.isEmpty)
        #expect(created.output.split(separator: "\n").map(String.init) == lines("created", "registered", "configured"))
        // One by one it would be a commit each, 1,003; how many share one depends on how busy the machine is.
        #expect(commits(server) - before < 900)
        let again = ctl("apply -f -", input: text)
        #expect(again.output.split(separator: "\n").map(String.init) == lines("unchanged", "unchanged", "unchanged"))
        #expect(ctl("check").output.hasPrefix("ok: 2000 addresses"))
        let deleted = ctl("delete -f -", input: (nodes + pods + services).joined())
        #expect(deleted.status == 0, "\(deleted.errors)")
        #expect(deleted.output.split(separator: "\n").count == 1_002)
        #expect(ctl("check").output.hasPrefix("ok: 0 addresses"))
        // It looks before it writes, and a missing object is no fault.
        #expect(server.stop() == 0)
        #expect(!server.log.text.contains("\"refused\""))
    }

    private func commits(_ server: ServerProcess) -> Int {
        let metrics = Curl(port: server.port, role: "viewer").request("/metrics").body
        let line = metrics.split(separator: "\n").first { $0.hasPrefix("tandem_journal_commits_total") }
        return line.flatMap { Int($0.split(separator: " ").last ?? "") } ?? 0
    }

    @Test("a terminal, and nothing else, is shown how far it is")
    func showsProgress() throws {
        let server = try server()
        let port = server.port
        try write(["many.yaml": (0..<500).map { Self.service("s\($0)") }.joined()])
        let command = [
            ServerProcess.program("tandemctl"), "apply", "-f", "\(directory.path)/many.yaml", "--dry-run", "--server",
            "127.0.0.1:\(port)", "--ca-file", Certificates.shared.ca, "--cert-file",
            Certificates.shared.certificate("admin"),
            "--key-file", Certificates.shared.key("admin"),
        ]
        let onTerminal = """
            import os, subprocess, sys
            ours, theirs = os.openpty()
            process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=theirs)
            os.close(theirs)
            text = b""
            try:
                while part := os.read(ours, 65536):
                    text += part
            except OSError:
                pass
            sys.stdout.write(text.decode())
            sys.exit(process.wait())
            """
        let shown = Command.run("python3", ["-c", onTerminal] + command)
        #expect(shown.status == 0)
        #expect(shown.output.contains("\r\u{1B}[K200 of 500"), "\(shown.output)")
        #expect(shown.output.hasSuffix("\r\u{1B}[K"), "\(shown.output)")
        let plain = Command.run(command[0], Array(command.dropFirst()))
        #expect(plain.errors.isEmpty)
        #expect(plain.output.split(separator: "\n").count == 500)
    }

    @Test("all of a namespace, or of a kind in it, are deleted; not by mistake")
    func deletesAll() throws {
        let server = try server()
        let ctl = Ctl(port: server.port)
        let text = Self.service("a") + Self.service("b") + "---\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: n1}\n"
        for namespace in ["shop", "default"] { #expect(ctl("apply -n \(namespace) -f -", input: text).status == 0) }
        for wrong in [
            "delete", "delete --all", "delete svc", "delete svc a --all", "delete --all a", "delete -f - --all",
            "delete -f - svc a",
            "delete pool --all", "delete svc a --force",
        ] {
            #expect(ctl(wrong, input: text).status == 2, "\(wrong)")
        }
        #expect(ctl("delete svc --all -n shop").output.split(separator: "\n").count == 2)
        #expect(ctl("delete --all -n shop").output.hasPrefix("pod \"p\" deleted: 10.244."))
        #expect(ctl("delete --all -n shop").errors == "No resources found.\n")
        #expect(ctl("get svc -A -o json").output.contains("\"namespace\": \"default\""))
        #expect(ctl("check").output.hasPrefix("ok: 4 addresses"))
        #expect(ctl("delete node --all").status == 1)
        #expect(ctl("delete node --all --force").status == 0)
        #expect(ctl("check").output.hasPrefix("ok: 2 addresses"))
    }
}
