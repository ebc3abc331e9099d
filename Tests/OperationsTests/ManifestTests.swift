import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing
import Yams

/// Manifests, compose file, image and systemd unit, tested against the programs' flags and variables.
@Suite("Manifests", .serialized)
struct ManifestTests {
    private typealias Object = [String: Any]

    /// The objects of a YAML file, or of a text.
    private func objects(_ text: String) throws -> [Object] {
        try Yams.load_all(yaml: text).compactMap { $0 as? Object }
    }

    /// A tree in which the files that the manifests name are there: `/etc/tandem/…` and `/certs/…` below a directory.
    private struct Tree {
        let directory = ScratchDirectory()

        init() throws {
            let certificates = Certificates.shared
            for (file, source) in [
                ("certs/ca.crt", certificates.ca), ("certs/server.crt", certificates.certificate("server")),
                ("certs/server.key", certificates.key("server")),
                ("certs/admin.crt", certificates.certificate("admin")),
                ("certs/admin.key", certificates.key("admin")),
                ("etc/tandem/tls/tls.crt", certificates.certificate("server")),
                ("etc/tandem/tls/tls.key", certificates.key("server")), ("etc/tandem/tls/ca.crt", certificates.ca),
                ("etc/tandem/etcd/etcd-ca.crt", certificates.ca),
                ("etc/tandem/etcd/etcd.crt", certificates.certificate("server")),
                ("etc/tandem/etcd/etcd.key", certificates.key("server")),
                ("etc/tandem/tls.crt", certificates.certificate("server")),
                ("etc/tandem/tls.key", certificates.key("server")), ("etc/tandem/ca.crt", certificates.ca),
                ("etc/tandem/config/tandem.yaml", "\(Project.root)/docker/kubernetes/base/tandem.yaml"),
                ("etc/tandem/tandem.yaml", "\(Project.root)/docker/kubernetes/base/tandem.yaml"),
                ("etc/tandem/server.crt", certificates.certificate("server")),
                ("etc/tandem/server.key", certificates.key("server")),
            ] {
                let path = "\(directory.path)/\(file)"
                try FileManager.default.createDirectory(
                    atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
                try FileManager.default.copyItem(atPath: source, toPath: path)
            }
        }

        /// The same words, with the paths here in place of the root's files.
        func here(_ words: [String]) -> [String] {
            words.map { word in
                word.replacing("=/etc/tandem", with: "=\(directory.path)/etc/tandem")
                    .replacing("=/certs/", with: "=\(directory.path)/certs/")
                    .replacing("=/var/lib/tandem", with: "=\(directory.path)/var/lib/tandem")
            }
        }
    }

    /// That the server takes the flags and the variables: each of them by name, and all together.
    private func expectAccepted(
        _ arguments: [String], environment: [String: String] = [:], at line: SourceLocation = #_sourceLocation
    ) throws {
        let tree = try Tree()
        let variables = tree.here(environment.map { "\($0)=\($1)" })
        let result = Command.run(
            "/usr/bin/env", variables + [ServerProcess.program] + tree.here(arguments) + ["--check-config"])
        #expect(result.status == 0, "\(arguments): \(result.errors)", sourceLocation: line)
        for (variable, value) in environment where variable != "TANDEM_CA_FILE" && !value.isEmpty {
            let name = variable.dropFirst("TANDEM_".count).lowercased().replacing("_", with: "-")
            let shown = result.output.split(separator: "\n").first { $0.hasPrefix("\(name): ") } ?? "# default"
            #expect(!shown.hasSuffix("# default"), "\(variable) sets nothing", sourceLocation: line)
        }
    }

    /// Whether a client program reads these words as its own: it then finds that no server answers.
    private func expectReaches(_ program: String, _ arguments: [String], _ environment: [String: String]) throws {
        let tree = try Tree()
        let arguments = arguments.map { $0.hasPrefix("--server=") ? "--server=127.0.0.1:1" : $0 }
        var environment = environment
        if environment["TANDEM_SERVER"] != nil { environment["TANDEM_SERVER"] = "127.0.0.1:1" }
        let variables = tree.here(environment.filter { $0.key.hasPrefix("TANDEM_") }.map { "\($0)=\($1)" })
        let result = Command.run("/usr/bin/env", variables + [ServerProcess.program(program)] + arguments)
        #expect(result.status == 3, "\(program) \(arguments): \(result.errors)")
    }

    @Test("the server takes every flag and variable of the image, the StatefulSet, the compose file and the unit")
    func flagsAreAccepted() throws {
        // The image.
        let dockerfile = try Project.text("docker/Dockerfile").replacing("\\\n", with: " ")
        let stage = try #require(dockerfile.range(of: " AS server"))
        var image: [String: String] = [:]
        for line in dockerfile[stage.upperBound...].split(separator: "\n") where line.hasPrefix("ENV ") {
            for pair in line.dropFirst(4).split(separator: " ") {
                let parts = pair.split(separator: "=", maxSplits: 1).map { String($0) }
                image[parts[0]] = parts[1]
            }
        }
        #expect(image.count == 7)
        try expectAccepted(ServerProcess.ranges, environment: image)

        // The StatefulSet, on top of the image.
        let set = try #require(try objects(try Project.text("docker/kubernetes/single-server/server.yaml")).first)
        let container = try #require(containers(set).first)
        let arguments = try #require(container["args"] as? [String])
        #expect(arguments.count > 8)
        try expectAccepted(arguments, environment: image)

        // The compose file.
        let compose = try #require(try objects(try Project.text("docker/compose.yaml")).first)
        let services = try #require(compose["services"] as? [String: Object])
        let tandem = try #require(services["tandem"])
        try expectAccepted(
            tandem["command"] as? [String] ?? [],
            environment: image.merging(tandem["environment"] as? [String: String] ?? [:]) { $1 })
        let load = try #require(services["load"])
        try expectReaches(
            "tandem-load", load["command"] as? [String] ?? [], load["environment"] as? [String: String] ?? [:])

        // That of several servers.
        let several = try #require(try objects(try Project.text("docker/compose.etcd.yaml")).first)
        let members = (several["services"] as? [String: Object] ?? [:]).filter { $0.key.hasPrefix("tandem") }
        #expect(members.count == 3)
        for (_, server) in members {
            try expectAccepted(
                server["command"] as? [String] ?? [],
                environment: image.merging(server["environment"] as? [String: String] ?? [:]) { $1 })
        }

        // The servers that give pods their addresses may run where pods have none yet.
        for file in ["single-server", "etcd"] {
            let set = try #require(try objects(try Project.text("docker/kubernetes/\(file)/server.yaml")).first)
            let template = (set["spec"] as? Object)?["template"] as? Object
            let tolerations = (template?["spec"] as? Object)?["tolerations"] as? [Object] ?? []
            let keys = tolerations.filter { $0["operator"] as? String == "Exists" && $0["effect"] == nil }
                .compactMap { $0["key"] as? String }
            #expect(keys == ["node.kubernetes.io/not-ready", "node.kubernetes.io/network-unavailable"], "\(file)")
        }

        // The unit.
        let unit = try Project.text("docker/systemd/tandemd.service").replacing("\\\n", with: " ")
        let commands = unit.split(separator: "\n").filter { $0.hasPrefix("ExecStart") }
        #expect(commands.count == 2)
        for command in commands { try expectAccepted(command.split(separator: " ").dropFirst().map(String.init)) }
        // It sees files that are renewed: copies of them would stay those of the start.
        #expect(unit.contains("\nExecReload=/bin/kill -HUP $MAINPID\n") && !unit.contains("LoadCredential"))
    }

    @Test("the node's scripts call the programs as they are")
    func nodeScripts() throws {
        let script = try Project.text("docker/node/masquerade")
        #expect(script.contains(#"tandemctl masquerade --output nft --node "$NODE_NAME""#))
        let set = try #require(try objects(try Project.text("docker/kubernetes/base/node.yaml")).first)
        let masquerade = try #require(containers(set).first)
        var environment: [String: String] = [:]
        for variable in masquerade["env"] as? [Object] ?? [] {
            if let value = variable["value"] as? String { environment[variable["name"] as? String ?? ""] = value }
        }
        #expect(
            Set(environment.keys) == [
                "TANDEM_SERVER", "TANDEM_CA_FILE", "TANDEM_CERT_FILE", "TANDEM_KEY_FILE", "MASQUERADE_SECONDS",
            ])
        environment["TANDEM_CERT_FILE"] = nil
        environment["TANDEM_KEY_FILE"] = nil
        try expectReaches("tandemctl", ["masquerade", "--output", "nft", "--node", "n1"], environment)
        let directory = ScratchDirectory()
        // The script that installs, with the plugin of this build in the place of the image's.
        let install = try Project.text("docker/node/install-cni")
            .replacing("/usr/local/bin/tandem-cni", with: ServerProcess.program("tandem-cni"))
        let result = Command.run("sh", ["-s", directory.path], input: install)
        #expect(result.status == 0, "\(result.errors)")
        #expect(Command.run("\(directory.path)/tandem-cni", ["--version"]).output == "tandem-cni \(BuildInfo.text)\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["tandem-cni"])
        for name in ["masquerade", "install-cni"] {
            #expect(Command.run("sh", ["-n", "\(Project.root)/docker/node/\(name)"]).status == 0)
        }
    }

    @Test(
        "a kubectl that can't build the manifests is named with its version",
        arguments: [
            ("20", "kubectl 1.20 is too old for -k"), ("9", "kubectl 1.9 is too old for -k"), ("21", nil), ("32+", nil),
            ("", "kubectl does not say its version"),
        ])
    func judgesKubectl(_ minor: String, _ obstacle: String?) throws {
        let text = #"{"clientVersion": {"major": "1", "minor": "\#(minor)"}}"#
        let found = Kubectl.obstacle(toVersion: text)
        #expect(found?.split(separator: ":").first.map(String.init) == obstacle)
        #expect(Kubectl.obstacle(toVersion: nil)?.hasPrefix("kubectl is missing") == true)
    }

    private func containers(_ object: Object) -> [Object] {
        let spec = ((object["spec"] as? Object)?["template"] as? Object)?["spec"] as? Object
        return spec?["containers"] as? [Object] ?? []
    }

    /// The output of kustomize for a folder of `docker/kubernetes`, with certificates in their places.
    private func kustomize(_ folder: String) throws -> String {
        let directory = ScratchDirectory()
        let root = "\(directory.path)/kubernetes"
        try FileManager.default.copyItem(atPath: "\(Project.root)/docker/kubernetes", toPath: root)
        try? FileManager.default.createDirectory(atPath: "\(root)/etcd/certs", withIntermediateDirectories: true)
        let certificates = Certificates.shared
        for (name, source) in [
            ("secrets/ca.crt", certificates.ca), ("secrets/tls.crt", certificates.certificate("server")),
            ("secrets/tls.key", certificates.key("server")),
            ("secrets/viewer.crt", certificates.certificate("viewer")),
            ("secrets/viewer.key", certificates.key("viewer")),
            ("secrets/controller.crt", certificates.certificate("controller")),
            ("secrets/controller.key", certificates.key("controller")),
            ("etcd/certs/etcd-ca.crt", certificates.ca), ("etcd/certs/etcd.crt", certificates.certificate("server")),
            ("etcd/certs/etcd.key", certificates.key("server")),
        ] {
            try? FileManager.default.removeItem(atPath: "\(root)/\(name)")
            try FileManager.default.copyItem(atPath: source, toPath: "\(root)/\(name)")
        }
        let built = Command.run(try #require(Kubectl.program), ["kustomize", "\(root)/\(folder)"])
        #expect(built.status == 0, "\(built.errors)")
        // A field that kustomize gives up sometime would be told of here.
        #expect(built.errors == "")
        return built.output
    }

    @Test(
        "the overlay for etcd has three servers in the place of one with a volume, of which one may be drained",
        .enabled(if: Kubectl.obstacle == nil, Comment(rawValue: Kubectl.obstacle ?? "")))
    func kustomizesEtcd() throws {
        let all = try objects(try kustomize("etcd"))
        // The servers', not the controllers'.
        func first(_ kind: String) -> Object? {
            all.first {
                $0["kind"] as? String == kind && ($0["metadata"] as? Object)?["name"] as? String != "tandem-controller"
            }
        }
        #expect(first("StatefulSet") == nil)
        #expect(all.count { ($0["metadata"] as? Object)?["name"] as? String == "tandem-controller" } == 9)
        let deployment = try #require(first("Deployment"))
        let spec = try #require(deployment["spec"] as? Object)
        #expect(spec["replicas"] as? Int == 3)
        #expect("\(spec)".contains("podAntiAffinity") && !"\(spec)".contains("persistentVolumeClaim"))
        #expect((first("PodDisruptionBudget")?["spec"] as? Object)?["maxUnavailable"] as? Int == 1)
        #expect("\(first("NetworkPolicy") ?? [:])".contains("2379"))
        let names = Set(all.compactMap { ($0["metadata"] as? Object)?["name"] as? String })
        let secrets = "\(spec)".matches(of: /tandem-(?:server|etcd)\b/).map { String($0.output) }
        #expect(secrets.count == 2 && secrets.allSatisfy(names.contains))
        let arguments = try #require(containers(deployment).first?["args"] as? [String])
        try expectAccepted(arguments)
    }

    @Test(
        "kustomize builds the manifests, and every object that they refer to is among them",
        .enabled(if: Kubectl.obstacle == nil, Comment(rawValue: Kubectl.obstacle ?? "")))
    func kustomizes() throws {
        let built = try kustomize("single-server")
        let all = try objects(built)
        #expect(
            all.compactMap { $0["kind"] as? String }.sorted() == [
                "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet", "Deployment", "Namespace",
                "NetworkPolicy", "NetworkPolicy", "PodDisruptionBudget", "PodDisruptionBudget", "Role", "RoleBinding",
                "Secret", "Secret", "Secret", "Service", "ServiceAccount", "StatefulSet",
            ])
        // The folder above them is the same.
        #expect(built == (try kustomize(".")))
        func name(_ object: Object) -> String { (object["metadata"] as? Object)?["name"] as? String ?? "" }
        let names = Set(all.map(name))
        for match in built.matches(of: /(?:secretName|name): (tandem-(?:server|viewer|controller)[a-z0-9-]*)/) {
            #expect(names.contains(String(match.output.1)), "\(match.output.1)")
        }
        for match in built.matches(of: /image: (\S+)/) {
            #expect(match.output.1.hasSuffix(":\(OpenRPC.version)"))
        }
        // The Service's pods are the StatefulSet's, and the policy's and the budget's.
        for kind in ["Service", "StatefulSet"] {
            #expect(
                "\(all.first { $0["kind"] as? String == kind } ?? [:])".contains(
                    "\"app.kubernetes.io/name\"): \"tandem\""),
                "\(kind)")
        }
    }

    @Test(
        "the objects for Prometheus Operator are separate: a cluster without it takes all the rest",
        .enabled(if: Kubectl.obstacle == nil, Comment(rawValue: Kubectl.obstacle ?? "")))
    func kustomizesMonitoring() throws {
        let built = try kustomize("monitoring")
        let all = try objects(built)
        #expect(
            all.compactMap { $0["kind"] as? String }.sorted() == ["PodMonitor", "PrometheusRule", "ServiceMonitor"])
        // The rules are those of docker/prometheus.
        let rule = try #require(all.first { $0["kind"] as? String == "PrometheusRule" })
        let plain = try #require(try objects(try Project.text("docker/prometheus/tandem.rules.yaml")).first)
        #expect((rule["spec"] as? Object)?["groups"] as? NSArray == plain["groups"] as? NSArray)
        // They refer to a Secret, and to pods and a Service by labels, of the other manifests.
        let others = try kustomize("single-server")
        for match in built.matches(
            of: /(?:name: tandem-viewer$|app\.kubernetes\.io\/name: \S+)/.anchorsMatchLineEndings())
        {
            #expect(others.contains(match.output), "\(match.output)")
        }
    }

    @Test(
        "the controllers take the flags and variables of their manifest, and have exactly the rights that they need",
        .enabled(if: Kubectl.obstacle == nil, Comment(rawValue: Kubectl.obstacle ?? "")))
    func controllers() throws {
        let all = try objects(try kustomize("single-server"))
        func named(_ kind: String, _ name: String = "tandem-controller") throws -> Object {
            try #require(
                all.first {
                    $0["kind"] as? String == kind && ($0["metadata"] as? Object)?["name"] as? String == name
                })
        }
        let deployment = try named("Deployment")
        #expect((deployment["spec"] as? Object)?["replicas"] as? Int == 2)
        let container = try #require(containers(deployment).first)
        #expect(container["command"] as? [String] == ["/usr/local/bin/tandem-controller"])
        let certificates = Certificates.shared
        let files = [
            "/etc/tandem/ca.crt": certificates.ca,
            "/etc/tandem/controller.crt": certificates.certificate("controller"),
            "/etc/tandem/controller.key": certificates.key("controller"),
        ]
        var variables: [String] = []
        for variable in container["env"] as? [Object] ?? [] {
            let (name, value) = (variable["name"] as? String ?? "", variable["value"] as? String ?? "")
            variables.append("\(name)=\(files[value] ?? (name == "TANDEM_SERVER" ? "127.0.0.1:1" : value))")
        }
        #expect(variables.count == 4)
        // It reads all of it, and finds that it is in no pod.
        let arguments = try #require(container["args"] as? [String])
        let result = Command.run(
            "/usr/bin/env",
            ["-u", "KUBERNETES_SERVICE_HOST"] + variables + [ServerProcess.program("tandem-controller")] + arguments)
        #expect(result.status == 2 && result.errors.contains("no --kubeconfig"), "\(result.errors)")
        // Its secret has the files that it mounts.
        let secret = try #require(
            all.first {
                $0["kind"] as? String == "Secret"
                    && (($0["metadata"] as? Object)?["name"] as? String ?? "") == "tandem-controller"
            })
        #expect(
            Set((secret["data"] as? Object ?? [:]).keys) == Set(files.keys.map { ($0 as NSString).lastPathComponent }))

        func rules(_ role: Object) -> Set<String> {
            var granted: Set<String> = []
            for rule in role["rules"] as? [Object] ?? [] {
                let names = (rule["resourceNames"] as? [String]).map { " " + $0.joined(separator: ",") } ?? ""
                for resource in rule["resources"] as? [String] ?? [] {
                    granted.insert("\(resource)\(names): \((rule["verbs"] as? [String] ?? []).joined(separator: " "))")
                }
            }
            return granted
        }
        #expect(
            rules(try named("ClusterRole")) == [
                "nodes: get list watch patch", "services: get list watch", "pods: get list watch",
                "services/status: patch", "events: create patch",
            ])
        #expect(rules(try named("Role")) == ["leases: create", "leases tandem-controller: get update"])
        for kind in ["ClusterRoleBinding", "RoleBinding"] {
            let subject = (try named(kind)["subjects"] as? [Object])?.first
            #expect(
                subject?["name"] as? String == "tandem-controller"
                    && subject?["namespace"] as? String == "tandem-system")
        }
    }

    @Test("certificates for the manifests are made under the names that they want")
    func makesCertificates() throws {
        let directory = ScratchDirectory()
        let made = Command.run("sh", ["\(Project.root)/certs/generate.sh", "--kubernetes", directory.path])
        #expect(made.status == 0, "\(made.errors)")
        let file = try Project.text("docker/kubernetes/secrets/kustomization.yaml")
        let names = file.matches(of: /[\[ ]([a-z]+\.(?:crt|key))\b/)
        #expect(names.count > 8)
        for match in names {
            #expect(FileManager.default.fileExists(atPath: "\(directory.path)/\(match.output.1)"), "\(match.output.1)")
        }
        func text(_ name: String) -> String {
            Command.run("openssl", ["x509", "-in", "\(directory.path)/\(name)", "-noout", "-text"]).output
        }
        #expect(text("tls.crt").contains("DNS:tandem.tandem-system.svc"))
        #expect(text("controller.crt").contains("O = tandem:services, O = tandem:pods, CN = tandem-controller"))
    }

    @Test("the compose file mounts existing files, with the dashboard and the rules of this project")
    func compose() throws {
        let compose = try #require(try objects(try Project.text("docker/compose.yaml")).first)
        let services = try #require(compose["services"] as? [String: Object])
        #expect(Set(services.keys) == ["tandem", "load", "prometheus", "grafana"])
        let volumes = Set((compose["volumes"] as? Object ?? [:]).keys)
        var mounted: [String: String] = [:]
        for (name, service) in services {
            for mount in service["volumes"] as? [String] ?? [] {
                let parts = mount.split(separator: ":").map(String.init)
                mounted["\(name):\(parts[1])"] = parts[0]
                guard parts[0].hasPrefix("."), !parts[0].hasPrefix("../certs") else {
                    #expect(volumes.contains(parts[0]) || parts[0] == "../certs/dev", "\(mount)")
                    continue
                }
                #expect(FileManager.default.fileExists(atPath: "\(Project.root)/docker/\(parts[0])"), "\(mount)")
            }
            for other in (service["depends_on"] as? Object).map({ Array($0.keys) }) ?? service["depends_on"]
                as? [String] ?? []
            {
                #expect(services[other] != nil, "\(other)")
            }
        }
        // A user of one's own, who can read the keys, of the group that may write to the image's volume and to Prometheus' data.
        for name in ["tandem", "load", "prometheus"] {
            let user = services[name]?["user"] as? String ?? ""
            #expect(user.hasPrefix("${UID:-") && user.hasSuffix("}:0"), "\(name)")
        }
        let dockerfile = try Project.text("docker/Dockerfile")
        #expect(dockerfile.contains("install -d -m 770 /data/tandem\n"))
        #expect(dockerfile.contains("--chown=65532:0 /data /var/lib\n"))
        #expect(services["prometheus"]?["tmpfs"] as? [String] == ["/prometheus"])
        #expect(mounted["grafana:/var/lib/dashboards/tandem.json"] == "./grafana/tandem.json")
        let provider = try Project.text("docker/grafana/provisioning/dashboards/tandem.yaml")
        #expect(provider.contains("path: /var/lib/dashboards\n"))
        guard let composer = Project.tool("docker-compose") else { return }
        for file in ["compose.yaml", "compose.etcd.yaml"] {
            let accepted = Command.run(composer, ["-f", "\(Project.root)/docker/\(file)", "config", "--quiet"])
            #expect(accepted.status == 0, "\(accepted.errors)")
        }
    }

    @Test("the image's health check: 0 while calls are served, 1 while not, 3 where no server answers")
    func checksHealth() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            command: [ServerProcess.program] + ServerProcess.tls + ServerProcess.ranges + [
                "--data-dir=\(directory.path)", "--secure-port=0", "--log-format=json", "--shutdown-delay=3600",
            ])
        func health(_ more: String...) -> Command.Result {
            Command.run(
                ServerProcess.program("tandemctl"),
                ["health", "--server", "127.0.0.1:\(server.port)", "--ca-file", Certificates.shared.ca] + more)
        }
        #expect(health().status == 0)
        #expect(health().output.contains("[+]storage ok\n"))
        server.send(SIGTERM)
        _ = server.log.entry { $0["message"] == "leaving" }
        #expect(health().status == 1)
        #expect(health().errors.contains("[-]serving failed: shutting down"))
        #expect(health("--live").status == 0)
        server.send(SIGSTOP)
        #expect(health("--timeout", "1").status == 3)
        server.crash()
        #expect(health().status == 3)
        #expect(health("--timeout", "0").status == 2)
        let check = try Project.text("docker/Dockerfile").split(separator: "\n").first { $0.hasPrefix("HEALTHCHECK") }
        #expect(check?.contains(#"["/usr/local/bin/tandemctl", "health", "--server", "127.0.0.1:8443"]"#) == true)
    }
}
