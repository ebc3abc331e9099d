import Foundation
import ServerSupport
import TestSupport
import Testing

/// Contexts: the file of servers' addresses and clients' identities.
@Suite("tandemctl config", .serialized)
struct ContextTests {
    private let directory = ScratchDirectory()
    private var file: String { "\(directory.path)/home/config" }

    /// With no setting but those of the file.
    private func ctl(_ words: [String], config: String? = nil) -> Command.Result {
        let none = ["SERVER", "CA_FILE", "CERT_FILE", "KEY_FILE"].flatMap { ["-u", "TANDEM_\($0)"] }
        return Command.run(
            "env", none + ["TANDEM_CONFIG=\(config ?? file)", ServerProcess.program("tandemctl")] + words)
    }

    private func set(_ name: String, _ server: ServerProcess, role: String, _ more: [String] = []) {
        let certificates = Certificates.shared
        let result = ctl(
            [
                "config", "set-context", name, "--server", "https://127.0.0.1:\(server.port)", "--ca-file",
                certificates.ca, "--cert-file", certificates.certificate(role), "--key-file", certificates.key(role),
            ] + more)
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test(
        "the current context says which server is asked, by whom, and in which namespace; --context another; flags win")
    func contextsWork() throws {
        let server = try ServerProcess("\(directory.path)/data")
        set("dev", server, role: "admin", ["-n", "shop"])
        set("look", server, role: "viewer")
        #expect(ctl(["config", "current-context"]).output == "dev\n")
        let applied = Command.run(
            "sh",
            [
                "-c",
                "echo '{kind: Service, metadata: {name: web}}' | TANDEM_CONFIG=\(file) \(ServerProcess.program("tandemctl")) apply -f-",
            ])
        #expect(applied.output == "service/web created\n", "\(applied.errors)")
        #expect(ctl(["get", "svc", "-o", "jsonpath={.items[*].metadata.namespace}"]).output == "shop")
        #expect(ctl(["get", "svc", "-n", "default"]).errors == "No resources found in default namespace.\n")
        #expect(ctl(["--context", "look", "get", "svc", "-n", "shop", "-o", "name"]).output == "service/web\n")
        #expect(ctl(["delete", "svc/web", "-n", "shop", "--context=look"]).status == 1)
        #expect(ctl(["auth", "whoami", "-o", "jsonpath={.username} {.groups[*]}"]).output == "admin tandem:admin")
        #expect(ctl(["--context", "look", "auth", "whoami"]).output.contains("[tandem:viewer]"))
        #expect(ctl(["config", "use-context", "look"]).output == "Switched to context \"look\".\n")
        #expect(ctl(["auth", "whoami"]).output.contains("Username              viewer\n"))
        #expect(
            ctl(["config", "set-context", "--current", "--namespace=shop"]).output == "Context \"look\" modified.\n")
        #expect(ctl(["get", "svc", "-oname"]).output == "service/web\n")
        let table = ctl(["config", "get-contexts"]).output.split(separator: "\n")
        #expect(table.count == 3 && table[2].hasPrefix("*         look   https://127.0.0.1:"))
        #expect(ctl(["config", "view"]).output == (try String(contentsOfFile: file, encoding: .utf8)))
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(ctl(["config", "delete-context", "look"]).status == 0)
        #expect(ctl(["config", "current-context"]).status == 1)
        // A setting of the environment is nearer than the current context, a context that is named nearer still.
        let refused = Command.run(
            "env",
            ["TANDEM_SERVER=127.0.0.1:1", "TANDEM_CONFIG=\(file)", ServerProcess.program("tandemctl"), "get", "svc"])
        #expect(refused.status == 2 && refused.errors.contains("--ca-file"), "\(refused.errors)")
        let named = Command.run(
            "env",
            [
                "TANDEM_SERVER=127.0.0.1:1", "TANDEM_CONFIG=\(file)", ServerProcess.program("tandemctl"), "get", "svc",
                "--context=dev", "-oname",
            ])
        #expect(named.output == "service/web\n", "\(named.errors)")
    }

    @Test("files are found beside the file of contexts; a misspelt name in it gets a suggestion")
    func filesAreRead() throws {
        let server = try ServerProcess("\(directory.path)/data")
        let certificates = Certificates.shared
        for (name, path) in [
            ("ca.crt", certificates.ca), ("me.crt", certificates.certificate("admin")),
            ("me.key", certificates.key("admin")),
        ] { try FileManager.default.createSymbolicLink(atPath: "\(directory.path)/\(name)", withDestinationPath: path) }
        func use(_ text: String) throws -> Command.Result {
            let own = "\(directory.path)/contexts.yaml"
            try text.write(toFile: own, atomically: true, encoding: .utf8)
            return ctl(["get", "svc", "-A", "--context", "here"], config: own)
        }
        let whole = """
            current-context: other
            contexts:
            - {name: here, server: "127.0.0.1:\(server.port)", ca-file: ca.crt, cert-file: me.crt, key-file: me.key}
            """
        #expect(try use(whole).errors == "No resources found.\n")
        for (wrong, right, message) in [
            ("ca-fil:", "ca-file:", "context here: ca-fil: no such setting; did you mean ca-file?"),
            ("contxts:", "contexts:", "contxts: no such setting; did you mean contexts?"),
            ("name: heer", "name: here", "has no context here; did you mean heer?"),
            ("{server:", "{name: here, server:", "contexts[0] has no name"),
        ] {
            let result = try use(whole.replacing(right, with: wrong))
            #expect(result.status == 2 && result.errors.contains(message), "\(result.errors)")
        }
        // TANDEM_CONFIG may name the settings of a server as well, whose container has both programs.
        let settings = "\(directory.path)/tandem.yaml"
        try "cluster-cidr: 10.244.0.0/16\n".write(toFile: settings, atomically: true, encoding: .utf8)
        let health = ctl(
            ["health", "--server=127.0.0.1:\(server.port)", "--ca-file", certificates.ca], config: settings)
        #expect(health.status == 0, "\(health.errors)")
        let set = ctl(["config", "set-context", "a"], config: settings)
        #expect(set.status == 2 && set.errors.contains("has the settings of a server"), "\(set.errors)")
    }
}
