import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Flags, environment and file: three places, one meaning.
@Suite("Configuration", .serialized)
struct ConfigurationTests {
    /// The settings that the server's own help names.
    private static let flags: [String] = {
        let help = Command.run(ServerProcess.program, ["--help"]).output
        let options = help.split(separator: "\n").compactMap { line in
            line.hasPrefix("  --") ? String(line.dropFirst(4).prefix { $0 != " " }) : nil
        }
        return options.filter { !["restore", "config", "check-config", "version", "help"].contains($0) }
    }()

    private func check(_ arguments: [String], environment: [String] = []) -> Command.Result {
        Command.run("/usr/bin/env", environment + [ServerProcess.program, "--check-config"] + arguments)
    }

    private func variable(_ flag: String) -> String { "TANDEM_" + flag.uppercased().replacing("-", with: "_") }

    /// A value other than the default that each flag takes.
    private func values(_ directory: String) -> [String: String] {
        let certificates = Certificates.shared
        return [
            "service-cluster-ip-range": "10.96.0.0/20,fd00:10:96::/112",
            "cluster-cidr": "10.244.0.0/16,fd00:10:244::/48",
            "node-cidr-mask-size-ipv4": "25", "node-cidr-mask-size-ipv6": "66",
            "load-balancer-ip-range": "192.0.2.0/24", "load-balancer-class": "example.com/tandem",
            "load-balancer-default": "false", "service-node-port-range": "30000-30100",
            "auto-register-nodes": "false", "bind-address": "127.0.0.2", "secure-port": "9443",
            "tls-cert-file": certificates.certificate("server"), "tls-private-key-file": certificates.key("server"),
            "client-ca-file": certificates.ca, "client-auth": "none", "tls-min-version": "VersionTLS12",
            "tls-cipher-suites": "TLS_AES_128_GCM_SHA256", "data-dir": "\(directory)/data", "event-loops": "1",
            "shutdown-timeout": "7", "pod-ip-reuse-delay": "60", "shutdown-delay": "1", "log-level": "debug",
            "log-format": "json", "max-connections": "100", "handshake-timeout": "3", "idle-timeout": "60",
            "max-buffered-bytes": "16777216", "memory-limit": "1073741824", "max-pods-per-node": "500",
            "max-object-bytes": "131072", "max-objects-per-namespace": "5000", "watch-history-bytes": "1048576",
            "audit-log-path": "\(directory)/audit.log", "audit-log-maxsize": "5", "audit-log-maxbackup": "3",
            "audit-policy": "all",
        ]
    }

    private func etcdValues(_ directory: String) -> [String: String] {
        let certificates = Certificates.shared
        return [
            "storage": "etcd", "etcd-servers": "https://localhost:2379,https://localhost:2380",
            "etcd-cafile": certificates.ca, "etcd-certfile": certificates.certificate("server"),
            "etcd-keyfile": certificates.key("server"), "etcd-username": "tandem",
            "etcd-password-file": "\(directory)/password", "etcd-prefix": "/other",
            "etcd-compaction-interval": "5m0s", "etcd-healthcheck-timeout": "4s",
            "etcd-quota-backend-bytes": "8589934592", "etcd-accept-configuration": "true",
        ]
    }

    @Test("each setting is taken from each of the three places, and means the same")
    func hasOneMeaning() throws {
        let directory = ScratchDirectory()
        var values = values(directory.path)
        let etcd = etcdValues(directory.path)
        try "secret".write(toFile: "\(directory.path)/password", atomically: true, encoding: .utf8)
        #expect(
            Set(Self.flags).subtracting(values.keys).subtracting(etcd.keys) == [
                "node-cidr-mask-size", "client-crl-file",
            ],
            "a flag that this test does not know")
        func shown(_ result: Command.Result, _ source: String) -> String {
            #expect(result.status == 0, "\(result.errors)")
            let lines = result.output.split(separator: "\n").filter { !$0.hasSuffix("# default") }
            #expect(lines.allSatisfy { $0.hasSuffix("# \(source)") }, "\(result.output)")
            return lines.joined(separator: "\n").replacing("# \(source)", with: "")
        }
        let file = "\(directory.path)/tandem.yaml"
        func both() throws -> [String] {
            try values.map { "\($0): \"\($1)\"\n" }.joined().write(toFile: file, atomically: true, encoding: .utf8)
            return [
                shown(check(values.map { "--\($0)=\($1)" }), "command line"),
                shown(check([], environment: values.map { "\(variable($0))=\($1)" }), "environment"),
                shown(check(["--config=\(file)"]), file),
                shown(check([], environment: ["TANDEM_CONFIG=\(file)"]), file),
            ]
        }
        let three = try both()
        #expect(Set(three).count == 1)
        #expect(three[0].split(separator: "\n").count == values.count)
        // The one that goes with a single family.
        values["cluster-cidr"] = "10.244.0.0/16"
        values["node-cidr-mask-size"] = "26"
        #expect(Set(try both()).count == 1)
        // Those that go with the other storage.
        values["data-dir"] = nil
        values.merge(etcd) { $1 }
        #expect(Set(try both()).count == 1)
    }

    @Test("a check shows every effective setting, defaults included, and is a file that means the same")
    func showsDefaults() throws {
        let directory = ScratchDirectory()
        let base = ServerProcess.tls + ServerProcess.ranges + ["--data-dir=\(directory.path)/data"]
        let shown = check(base)
        #expect(shown.status == 0, "\(shown.errors)")
        var values: [String: String] = [:]
        for match in shown.output.matches(of: /(?m)^([a-z0-9-]+): "(.*)"  # (default|command line)$/) {
            let isGiven = base.contains { $0.hasPrefix("--\(match.output.1)=") }
            #expect((match.output.3 == "command line") == isGiven, "\(match.output.0)")
            values[String(match.output.1)] = String(match.output.2)
        }
        #expect(Set(values.keys) == Set(Self.flags))
        // The defaults of the help text are effective.
        var compared = 0
        let help = Command.run(ServerProcess.program, ["--help"]).output.replacing(/\n +/, with: " ")
        for match in help.matches(of: /--([a-z0-9-]+) <[^>]*>[^<]*?\(default: ([A-Za-z0-9.]+)\)/) {
            let name = String(match.output.1)
            guard !name.hasPrefix("etcd-"), match.output.2 != "none" else { continue }
            compared += 1
            #expect(values[name] == String(match.output.2), "\(name)")
        }
        #expect(compared > 15, "\(compared)")
        #expect(Int(values["memory-limit"] ?? "").map { $0 > 64 << 20 } == true)
        let file = "\(directory.path)/all.yaml"
        try shown.output.write(toFile: file, atomically: true, encoding: .utf8)
        let again = check(["--config=\(file)"])
        #expect(again.status == 0, "\(again.errors)")
        func plain(_ text: String) -> [Substring] {
            text.split(separator: "\n").map { $0.prefix { $0 != "#" } }
        }
        #expect(plain(again.output) == plain(shown.output))
    }

    @Test("TANDEM_CONFIG may name the contexts of tandemctl as well, which are passed over")
    func passesOverContexts() throws {
        let directory = ScratchDirectory()
        let base = ServerProcess.tls + ServerProcess.ranges + ["--data-dir=\(directory.path)/data"]
        let file = "\(directory.path)/contexts.yaml"
        try "contexts:\n- {name: a}\n".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(check(base, environment: ["TANDEM_CONFIG=\(file)"]).status == 0)
        #expect(check(base + ["--config=\(file)"]).status == 1)
        let missing = check(base, environment: ["TANDEM_CONFIG=/nowhere.yaml"])
        #expect(missing.errors == "tandemd: --config: /nowhere.yaml can't be read: No such file or directory\n")
    }

    @Test("the line of a ready server has its version, its ranges, the results of its start and their times")
    func tellsItsStart() throws {
        let directory = ScratchDirectory()
        let flags = ServerProcess.ranges + ["--service-node-port-range=30000-30100"]
        func ready(_ server: ServerProcess) throws -> JSONValue {
            try JSONValue(parsing: server.startLog.last ?? "")
        }
        var server = try ServerProcess("\(directory.path)/data", flags)
        #expect(try ready(server)["services"] == "0")
        let objects = ["Service a", "Service b", "Node n1", "Pod p"].map { text in
            let parts = text.split(separator: " ")
            return
                "{kind: \(parts[0]), metadata: {name: \(parts[1])}, spec: {\(parts[0] == "Pod" ? "nodeName: n1" : "")}}"
        }
        #expect(Ctl(port: server.port)("apply -f -", input: objects.joined(separator: "\n---\n")).status == 0)
        #expect(server.stop() == 0)
        server = try ServerProcess("\(directory.path)/data", flags)
        let line = try ready(server)
        #expect(line["version"] == .string(BuildInfo.text))
        #expect(line["storage"] == .string("\(directory.path)/data"))
        #expect(line["serviceRanges"] == "10.96.0.0/20,fd00:10:96::/112")
        #expect(line["podRanges"] == "10.244.0.0/16,fd00:10:244::/48")
        #expect(line["nodePorts"] == "30000-30100" && line["loadBalancerRanges"] == nil)
        #expect([line["services"], line["nodes"], line["pods"]] == ["2", "1", "1"])
        #expect(line["recoveredInMilliseconds"]?.stringValue.flatMap { Int($0) }.map { $0 > 0 } == true)
    }

    @Test("the command line wins over the environment, and both over the file")
    func hasAnOrder() throws {
        let directory = ScratchDirectory()
        let file = "\(directory.path)/tandem.yaml"
        try "secure-port: 1\nlog-level: error\nevent-loops: 1\nclient-auth: none\n"
            .write(toFile: file, atomically: true, encoding: .utf8)
        let result = check(
            ServerProcess.tls + ServerProcess.ranges + ["--config=\(file)", "--data-dir=/nowhere", "--secure-port=3"],
            environment: ["TANDEM_SECURE_PORT=2", "TANDEM_LOG_LEVEL=debug"])
        #expect(result.output.contains("secure-port: \"3\"  # command line\n"), "\(result.errors)")
        #expect(result.output.contains("log-level: \"debug\"  # environment\n"))
        #expect(result.output.contains("event-loops: \"1\"  # \(file)\n"))
    }

    @Test("an unknown setting is refused with a suggestion; variables of other programs are ignored")
    func refusesUnknown() throws {
        let directory = ScratchDirectory()
        let base = ServerProcess.tls + ServerProcess.ranges + ["--data-dir=\(directory.path)/data"]
        for (variable, flag, near) in [
            ("TANDEM_SECURE_PROT", "secure-prot", "secure-port"), ("TANDEM_LOGLEVEL", "loglevel", "log-level"),
            ("TANDEM_DATADIR", "datadir", "data-dir"), ("TANDEM_CLUSTER_CIDRS", "cluster-cidrs", "cluster-cidr"),
        ] {
            let result = check(base, environment: ["\(variable)=1"])
            #expect(result.status == 1)
            #expect(result.errors == "tandemd: --\(flag): no such setting; did you mean \(near)?\n")
        }
        let foreign = [
            "TANDEM_SERVER=x", "TANDEM_CA_FILE=x", "TANDEM_CERT_FILE=x", "TANDEM_KEY_FILE=x", "TANDEM_SERVICE_HOST=x",
            "TANDEM_SERVICE_PORT=1", "TANDEM_SERVICE_PORT_HTTPS=1", "TANDEM_PORT=tcp://x",
            "TANDEM_PORT_8443_TCP_ADDR=x",
            "TANDEM_SEED=1", "TANDEM_OF_SOMEBODY_ELSE=1",
        ]
        #expect(check(base, environment: foreign).status == 0)
        // A setting from the environment is as wrong as one from the command line, and nothing was made meanwhile.
        let wrong = check(base, environment: ["TANDEM_EVENT_LOOPS=none"])
        #expect(wrong.errors.hasPrefix("tandemd: --event-loops: \"none\" is not a whole number"))
        #expect(check(base + ["--client-ca-file=/nowhere.crt"]).errors.contains("--client-ca-file: "))
        #expect(!FileManager.default.fileExists(atPath: "\(directory.path)/data"))
    }

    @Test("help is grouped and names every setting; there are completions for the three shells")
    func helps() {
        let help = Command.run(ServerProcess.program, ["--help"]).output
        for group in ["RANGES:", "SERVING:", "RUNNING:", "LOGS:"] { #expect(help.contains("\n\(group)\n")) }
        #expect(Self.flags.count == 51)
        for program in ["tandemd", "tandemctl"] {
            for shell in ["bash", "zsh", "fish"] {
                let script = Command.run(ServerProcess.program(program), ["--generate-completion-script=\(shell)"])
                #expect(script.status == 0)
                let word = program == "tandemd" ? "audit-log-path" : "lookup"
                #expect(script.output.contains(word), "\(program) \(shell)")
                // The shell that was asked for, whatever the caller's own is.
                #expect(script.output.hasPrefix("#compdef") == (shell == "zsh"), "\(program) \(shell)")
                guard shell == "bash" else { continue }
                let checked = Command.run("bash", ["-n"], input: script.output)
                #expect(checked.status == 0, "\(checked.errors)")
            }
        }
    }

    @Test("there is a manual page for each program, with every setting, and man reads it without a complaint")
    func writesManualPages() throws {
        let directory = ScratchDirectory()
        let programs = (ServerProcess.program as NSString).deletingLastPathComponent
        let written = Command.run(
            "python3",
            ["\(Project.root)/docker/man.py", programs, "\(directory.path)/man", "\(directory.path)/completions"])
        #expect(written.status == 0, "\(written.errors)")
        let pages = try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/man").sorted()
        #expect(pages == ["tandem-cni.1", "tandem-controller.1", "tandem-load.1", "tandemctl.1", "tandemd.1"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/completions").count == 12)
        let text = try String(contentsOfFile: "\(directory.path)/man/tandemd.1", encoding: .utf8)
        for flag in Self.flags { #expect(text.contains("\\-\\-" + flag.replacing("-", with: "\\-") + "="), "\(flag)") }
        let control = try String(contentsOfFile: "\(directory.path)/man/tandemctl.1", encoding: .utf8)
        #expect(control.contains(".SH TANDEMCTL MASQUERADE") && control.contains(".SH TANDEMCTL HEALTH"))
        let controller = try String(contentsOfFile: "\(directory.path)/man/tandem-controller.1", encoding: .utf8)
        #expect(controller.contains(".SH TANDEM\\-CONTROLLER UNINSTALL") && controller.contains("\\-\\-dry\\-run"))
        guard Project.tool("groff") != nil else { return }
        for page in pages {
            let read = Command.run("groff", ["-man", "-Tutf8", "-ww", "\(directory.path)/man/\(page)"])
            #expect(read.status == 0 && read.errors.isEmpty, "\(page): \(read.errors.prefix(500))")
        }
    }
}
