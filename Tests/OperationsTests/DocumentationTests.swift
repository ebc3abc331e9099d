import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// The documentation's commands, run as they stand.
@Suite("Documentation", .serialized)
struct DocumentationTests {
    private static let folder = "Sources/TandemServer/Documentation.docc"

    /// The blocks of a page that are fenced as a shell's, in their order.
    private func shellBlocks(_ page: String) -> [String] {
        page.components(separatedBy: "\n```").enumerated().compactMap { index, part in
            index % 2 == 1 && part.hasPrefix("sh\n") ? String(part.dropFirst(3)) : nil
        }
    }

    /// Runs a script in a directory that looks like a clone with the programs on the path; the ports of the pages become free
    /// ones.
    private func run(_ script: String) throws -> Command.Result {
        let directory = ScratchDirectory()
        for name in ["certs/generate.sh", "docker"] {
            try? FileManager.default.createDirectory(
                atPath: "\(directory.path)/certs", withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory.path)/\(name)", withDestinationPath: "\(Project.root)/\(name)")
        }
        let numbers = ["8443", "8442", "8441", "9443", "2371", "2372", "2373", "2381", "2382", "2383"]
        let ports = Command.run(
            "python3",
            [
                "-c",
                """
                import socket
                s = [socket.socket() for _ in '\(numbers.joined())'[::4]]
                [x.bind(('127.0.0.1', 0)) for x in s]
                print(*[x.getsockname()[1] for x in s])
                """,
            ]
        ).output.split(whereSeparator: \.isWhitespace)
        var script = script
        for (number, port) in zip(numbers, ports) {
            script = script.replacing(try Regex("\\b\(number)\\b"), with: String(port))
        }
        let programs = (ServerProcess.program as NSString).deletingLastPathComponent
        // Jobs are numbered as in a user's shell, and none outlives the script.
        let text = """
            set -euo pipefail -m
            trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
            cd '\(directory.path)'
            export PATH='\(programs)':"$PATH:\(Project.root)/.build/tools/usr/bin" TANDEM_SECURE_PORT=\(ports[0])
            export ETCD_UNSUPPORTED_ARCH=arm64
            \(script)
            """
        // Not by standard input, whose place a job in the background would share.
        return Command.run("timeout", ["--kill-after=5", "120", "bash", "-c", text])
    }

    @Test("each command of the pages on trying and operating works as described")
    func pagesRun() throws {
        let started = try run(
            shellBlocks(try Project.text("\(Self.folder)/GettingStarted.md")).joined(separator: "\n"))
        #expect(started.status == 0, "\(started.output)\n\(started.errors)")
        #expect(started.output.contains("service/my-service created"))
        #expect(started.output.contains("allocated   Service default/my-service"))
        #expect(started.output.contains("\"openrpc\":\"1.3.2\""))
        #expect(started.output.contains("ok: "))
        #expect(started.output.contains("service \"my-service\" deleted: 10.96."))

        let operated = try run(shellBlocks(try Project.text("\(Self.folder)/Operating.md")).joined(separator: "\n"))
        #expect(operated.status == 0, "\(operated.output)\n\(operated.errors)")
        #expect(operated.output.contains("data-dir: \"data\"  # tandem.yaml"))
        #expect(operated.output.contains("[+]storage ok"))
        #expect(operated.output.contains(#"kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/16"}"#))
        #expect(operated.output.contains("backup.db: "))
        #expect(operated.errors.contains("log level to=debug"))
        #expect(operated.errors.contains("refused error=\"service \\\"no-such-service\\\" not found\""))
    }

    @Test("each command of the page on the command line works as described")
    func commandLineRuns() throws {
        let page = try Project.text("\(Self.folder)/CommandLine.md")
        let result = try run(
            """
            certs/generate.sh >/dev/null
            tandemd --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112 --cluster-cidr=10.244.0.0/16,fd00:10:244::/56 \
                --load-balancer-ip-range=192.0.2.0/24,2001:db8::/112 --tls-cert-file=certs/dev/server.crt \
                --tls-private-key-file=certs/dev/server.key --client-ca-file=certs/dev/ca.crt --data-dir=.tandem &
            until tandemctl health --server 127.0.0.1:8443 --ca-file certs/dev/ca.crt >/dev/null; do sleep 0.1; done
            \(shellBlocks(page).joined(separator: "\n"))
            """)
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
        #expect(result.output.contains("[tandem:viewer]"))
        #expect(result.output.contains("my-service-headless\tNone\n"))
        #expect(result.output.contains("Addresses Left:"))
        #expect(result.output.contains("pod \"myapp-1\" deleted: 10.244.0.2"))
    }

    @Test("each command of the page on existing clusters works as described")
    func existingClusterRuns() throws {
        let page = try Project.text("\(Self.folder)/ExistingCluster.md")
        let result = try run(shellBlocks(page).joined(separator: "\n"))
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
        #expect(result.output.contains("3 taken in, 0 unchanged, 0 without addresses, 0 refused"))
        #expect(result.output.contains("ok: 3 objects of the cluster"))
        #expect(result.output.contains("10.244.77.5,fd00:10:244:77::5"))
        #expect(result.output.contains("allocated   Service shop/web"))
    }

    @Test(
        "each command of the page on several servers works as described",
        .enabled(if: Project.tool("etcd") != nil && Project.tool("etcdctl") != nil))
    func severalServersRun() async throws {
        let script = shellBlocks(try Project.text("\(Self.folder)/SeveralServers.md")).joined(separator: "\n")
        let result = try await onOwnThread { try run(script) }
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
        #expect(result.output.contains("service/my-service created"))
        #expect(result.output.contains("service \"my-service\" deleted: 10.96."))
        #expect(result.output.contains("ok: "))
        #expect(result.output.contains(#""pod-ip-reuse-delay":"30""#), "\(result.output)")
    }

    @Test(
        "the make target for several servers shows the same through another server when the first is killed",
        .enabled(if: Project.tool("etcd") != nil))
    func severalServersShow() async throws {
        let (port, etcdPort) = (Int.random(in: 400..<500) * 50, Int.random(in: 500..<640) * 50)
        let programs = (ServerProcess.program as NSString).deletingLastPathComponent
        let result = try await onOwnThread {
            Command.run(
                "env",
                ["ONCE=1", "BIN=\(programs)", "PORT=\(port)", "ETCD_PORT=\(etcdPort)", "ETCD_UNSUPPORTED_ARCH=arm64"]
                    + [
                        "timeout", "--kill-after=5", "120", "\(Project.root)/docker/run-etcd.sh",
                    ])
        }
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
        #expect(result.errors == "")
        let parts = result.output.components(separatedBy: "Read through the ")
        #expect(parts.count == 3)
        func lines(_ part: String?) -> [Substring] { (part ?? "").split(separator: "\n").filter { $0.contains("10.") } }
        #expect(lines(parts.last).count >= 8)
        #expect(
            lines(parts.last).map { $0.prefix { $0 != " " } }
                == lines(parts.dropFirst().first).map { $0.prefix { $0 != " " } })
    }

    @Test("make run shows the assigned addresses, and lines that work in any folder; its log has no line of a refusal")
    func runs() async throws {
        let directory = ScratchDirectory()
        for name in ["certs/generate.sh", "docker"] {
            try? FileManager.default.createDirectory(
                atPath: "\(directory.path)/certs", withIntermediateDirectories: true)
            let copied = Command.run("cp", ["-r", "\(Project.root)/\(name)", "\(directory.path)/\(name)"])
            #expect(copied.status == 0)
        }
        let programs = (ServerProcess.program as NSString).deletingLastPathComponent
        let port = Int.random(in: 20_000..<32_000)
        let environment = ["ONCE=1", "BIN=\(programs)", "PORT=\(port)"]
        let result = try await onOwnThread {
            Command.run(
                "env", environment + ["timeout", "--kill-after=5", "120", "\(directory.path)/docker/run.sh"])
        }
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
        #expect(result.output.contains("service/my-service created"))
        #expect(!result.errors.contains("refused") && result.errors.contains("notice stopped"), "\(result.errors)")
        // The lines that it tells to try, tried where a server of the same data stands.
        let lines = result.output.split(separator: "\n").filter {
            $0.hasPrefix("  export PATH=") || $0.hasPrefix("  tandemctl")
        }
        #expect(lines.count == 2)
        let data = "\(directory.path)/.tandem"
        let server = try ServerProcess(
            command: [
                ServerProcess.program, "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
                "--cluster-cidr=10.244.0.0/16,fd00:10:244::/56", "--data-dir=\(data)", "--secure-port=\(port)",
                "--tls-cert-file=\(directory.path)/certs/dev/server.crt", "--log-format=json",
                "--tls-private-key-file=\(directory.path)/certs/dev/server.key",
                "--client-ca-file=\(directory.path)/certs/dev/ca.crt",
            ])
        let tried = Command.run("bash", ["-c", "cd /; \(lines.joined(separator: "\n"))"])
        #expect(tried.status == 0 && tried.output.contains("name: my-service\n"), "\(tried.errors)")
        #expect(server.stop() == 0)
    }

    @Test("a command that fails is noticed")
    func noticesFaults() throws {
        #expect(try run("tandemctl get services").status != 0)
        #expect(try run("true\nfalse\ntrue").status != 0)
        #expect(shellBlocks("a\n```sh\nb\n```\nc\n```console\nd\n```\n```sh\ne\n```\n") == ["b", "e"])
    }

    @Test("the commands of the README run, and its make targets are there")
    func readmeRuns() throws {
        let readme = try Project.text("README.md")
        let blocks = readme.components(separatedBy: "\n\n").filter { $0.hasPrefix("    ") }.map {
            $0.split(separator: "\n").map { $0.dropFirst(4) }.joined(separator: "\n")
        }
        let makefile = try Project.text("Makefile")
        var targets = 0
        for match in (readme + (try Project.text("\(Self.folder)/Contributing.md"))).matches(
            of: /`?make ([a-z-]+)(`|  )/)
        {
            targets += 1
            #expect(makefile.contains("\n\(match.output.1):"), "make \(match.output.1)")
        }
        #expect(targets > 8)
        // Two screens.
        #expect(readme.split(separator: "\n", omittingEmptySubsequences: false).count < 80)
        // The installation names the packages that exist: Tests/Packages/packages.sh uses them.
        let install = blocks.first { $0.hasPrefix("make deb") } ?? ""
        let package = try Project.text("docker/deb/deb.sh")
        for match in install.matches(of: /\.build\/deb\/([a-z-]+)_/) {
            #expect(package.contains("\npackage \(match.output.1) "), "\(match.output.1)")
        }
        let commands = blocks.filter { $0.hasPrefix("curl") || $0.hasPrefix("tandemctl") }
        #expect(commands.count == 2)
        let balancers = "--load-balancer-ip-range=192.0.2.0/24,198.51.100.0/24,2001:db8::/112"
        #expect(try Project.text("docker/run.sh").contains(balancers))
        let result = try run(
            """
            certs/generate.sh >/dev/null
            tandemd --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112 --cluster-cidr=10.244.0.0/16,fd00:10:244::/56 \
                \(balancers) --tls-cert-file=certs/dev/server.crt \
                --tls-private-key-file=certs/dev/server.key --client-ca-file=certs/dev/ca.crt --data-dir=.tandem &
            export TANDEM_SERVER=127.0.0.1:8443 TANDEM_CA_FILE=certs/dev/ca.crt
            export TANDEM_CERT_FILE=certs/dev/admin.crt TANDEM_KEY_FILE=certs/dev/admin.key
            until tandemctl health >/dev/null; do sleep 0.1; done
            tandemctl apply -f docker/examples/nodes.yaml -f docker/examples/pods.yaml
            # The load balancer of the examples gets the last address of the first range: whatever it draws on other days, no object of
            # cluster.json shows it.
            for i in $(seq 253); do
                printf '%s\n' '---' 'apiVersion: v1' 'kind: Service' "metadata: {name: b$i}" 'spec: {type: LoadBalancer, ports: [{port: 80}]}'
            done >balancers.yaml
            tandemctl apply -f balancers.yaml
            \(commands.joined(separator: "\n"))
            """)
        #expect(result.status == 0, "\(result.output)\n\(result.errors)")
        #expect(result.output.contains(#""ipFamilyPolicy":"PreferDualStack""#))
        #expect(result.output.contains("tandem-backup.db: "))
        #expect(result.output.contains("Pod default/myapp-1"))
        #expect(result.output.contains("3 taken in, 0 unchanged, 0 without addresses, 0 refused"))
    }

    @Test("pages lead to one another, and to files that are there")
    func linksLead() throws {
        let root = Project.root
        let pages = try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(Self.folder)").filter {
            $0.hasSuffix(".md")
        }
        var links = 0
        for page in pages {
            let text = try Project.text("\(Self.folder)/\(page)")
            // Such a link works nowhere but in DocC: docker/docs.py makes them of the others.
            #expect(!text.contains("doc:"), "\(page)")
            // An empty line within a table would end it: the rest would be shown as text.
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            for (index, line) in lines.enumerated()
            where line.hasPrefix("|") && !lines[max(index, 1) - 1].hasPrefix("|") {
                #expect(lines[index + 1].hasPrefix("| ---"), "\(page): \(line)")
            }
            for match in text.matches(of: /\]\(([^)#]+)(?:#([^)]+))?\)/) where !match.output.1.hasPrefix("http") {
                links += 1
                #expect(
                    FileManager.default.fileExists(atPath: "\(root)/\(Self.folder)/\(match.output.1)"),
                    "\(page): \(match.output.1)")
                guard let fragment = match.output.2 else { continue }
                let headings = try Project.text("\(Self.folder)/\(match.output.1)").split(separator: "\n")
                    .filter { $0.hasPrefix("#") }.map { line in
                        line.drop { $0 == "#" || $0 == " " }.lowercased().replacing(" ", with: "-")
                            .filter { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
                    }
                #expect(headings.contains(String(fragment)), "\(page): \(match.output.0)")
            }
        }
        #expect(links > 40)
        for match in try Project.text("README.md").matches(of: /\]\(([^)h][^)]*)\)/) {
            #expect(FileManager.default.fileExists(atPath: "\(root)/\(match.output.1)"), "README.md: \(match.output.1)")
        }
    }

    @Test(
        "make targets, scripts and tests that pages name exist, and commands for a container engine are tested elsewhere"
    )
    func namesLead() throws {
        let root = Project.root
        let makefile = try Project.text("Makefile")
        let sources = (FileManager.default.enumerator(atPath: "\(root)/Tests")?.allObjects as? [String] ?? []).filter {
            $0.hasSuffix(".swift")
        }
        let suites = Set(sources.map { (($0 as NSString).lastPathComponent as NSString).deletingPathExtension })
        let folders = Set(sources.compactMap { $0.split(separator: "/").first.map(String.init) })
        var found = (targets: 0, files: 0, suites: 0)
        for page in try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(Self.folder)") {
            guard page.hasSuffix(".md") else { continue }
            let text = try Project.text("\(Self.folder)/\(page)")
            for match in text.matches(of: /(?:`|\n    )make ([a-z-]+)/) {
                found.targets += 1
                #expect(makefile.contains("\n\(match.output.1):"), "\(page): make \(match.output.1)")
            }
            for match in text.matches(of: /[ `](Tests\/[A-Za-z\/-]+\.(?:sh|swift|pml)|docker\/[a-z\/-]+\.yaml)/) {
                found.files += 1
                #expect(
                    FileManager.default.fileExists(atPath: "\(root)/\(match.output.1)"), "\(page): \(match.output.1)")
            }
            for match in text.matches(of: /`(?:([A-Za-z]+Tests)\/)?([A-Za-z]+Tests)`/) {
                found.suites += 1
                #expect(suites.union(folders).contains(String(match.output.2)), "\(page): \(match.output.2)")
                #expect(match.output.1.map { folders.contains(String($0)) } ?? true, "\(page): \(match.output.0)")
            }
        }
        #expect(found.targets > 10 && found.files > 5 && found.suites > 20, "\(found)")
        // The image test builds as the first two do; the tests of manifests test the input of the last.
        let consoles = try Project.text("\(Self.folder)/Operating.md").components(separatedBy: "\n```console\n")
        #expect(consoles.count == 2)
        #expect(
            consoles.last?.hasPrefix(
                """
                docker build -f docker/Dockerfile -t tandem .
                docker build -f docker/Dockerfile -t tandem-node --target node .
                certs/generate.sh --names DNS:tandem
                env UID=$(id -u) docker compose -p tandem -f docker/compose.yaml up --build
                ```
                """) == true)
    }

    @Test("docc builds the pages without a warning", .enabled(if: Project.tool("docc") != nil))
    func doccIsPleased() {
        let directory = ScratchDirectory()
        let made = Command.run(
            "sh",
            ["-c", "cd '\(Project.root)' && python3 docker/docs.py --catalogue '\(directory.path)/Documentation.docc'"])
        #expect(made.status == 0, "\(made.errors)")
        let result = Command.run(
            "docc",
            [
                "convert", "\(directory.path)/Documentation.docc", "--output-path", "\(directory.path)/out",
                "--fallback-display-name", "TandemServer", "--fallback-bundle-identifier", "tandem.TandemServer",
            ])
        // Without the symbols, which `make docs` gathers, the module's own page has none to stand for.
        let complaints = (result.output + result.errors).split(separator: "\n").filter {
            ($0.contains("warning:") || $0.contains("error:")) && !$0.contains("'TandemServer'")
        }
        #expect(complaints.isEmpty, "\(complaints.joined(separator: "\n"))")
    }
}
