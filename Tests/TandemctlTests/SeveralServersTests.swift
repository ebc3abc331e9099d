import Foundation
import ServerSupport
import TestSupport
import Testing

@Suite("tandemctl and several servers", .serialized)
struct SeveralServersTests {
    private let directory = ScratchDirectory()

    private func start(_ name: String) throws -> ServerProcess { try ServerProcess("\(directory.path)/\(name)") }

    private func run(_ words: String, _ servers: String, byVariable: Bool = false) -> Command.Result {
        let certificates = Certificates.shared
        let certificate = [
            "--ca-file", certificates.ca, "--cert-file", certificates.certificate("admin"), "--key-file",
            certificates.key("admin"),
        ]
        let program = [ServerProcess.program("tandemctl")] + words.split(separator: " ").map(String.init) + certificate
        return Command.run(
            "env", byVariable ? ["TANDEM_SERVER=\(servers)"] + program : program + ["--server", servers])
    }

    @Test("with the first one dead every command is done by the next, quietly")
    func dead() throws {
        let (dead, server) = (try start("a"), try start("b"))
        dead.crash()
        let servers = "127.0.0.1:\(dead.port),127.0.0.1:\(server.port)"
        for (words, output) in [
            ("get pools", "services-ipv4"), ("check", "ok: 0 addresses"), ("health", "readyz check passed"),
            ("lookup 10.96.0.9", "services-ipv4"), ("backup \(directory.path)/copy.db", "bytes"),
        ] {
            let result = run(words, servers)
            #expect(result.status == 0 && result.errors.isEmpty, "\(words): \(result.errors)")
            #expect(result.output.contains(output), "\(words): \(result.output)")
        }
        #expect(run("get nodes", servers, byVariable: true).status == 0)
        let refused = run("get node nope", servers)
        #expect(refused.status == 1 && refused.errors.contains("\"nope\" not found"), "\(refused.errors)")
    }

    @Test("where none is reached, the error has the failure of each; the exit status is 3")
    func none() throws {
        let (first, second) = (try start("a"), try start("b"))
        first.crash()
        second.crash()
        let servers = "127.0.0.1:\(first.port),127.0.0.1:\(second.port)"
        for words in ["get pools", "health", "backup \(directory.path)/copy.db"] {
            let result = run(words, servers)
            #expect(result.status == 3)
            #expect(
                result.errors
                    == "error: no server answered: 127.0.0.1 port \(first.port): Connection refused; 127.0.0.1 port \(second.port): Connection refused\n",
                "\(words)")
        }
    }

    @Test("health is that of the first that serves, else the answer of the last one")
    func health() throws {
        let (first, second) = (try start("a"), try start("b"))
        first.send(SIGSTOP)
        #expect(run("health --timeout 10", "127.0.0.1:\(first.port),127.0.0.1:\(second.port)").status == 0)
        first.send(SIGCONT)
    }

    @Test("a list with something else in it is refused, naming the option or the variable")
    func names() {
        let byOption = run("get pools", "a:1,b:x")
        #expect(byOption.status == 2)
        #expect(byOption.errors.hasPrefix("error: --server: \"b:x\" is no HOST:PORT"), "\(byOption.errors)")
        let byVariable = run("get pools", "a:1,", byVariable: true)
        #expect(byVariable.status == 2)
        #expect(byVariable.errors.hasPrefix("error: TANDEM_SERVER: \"\" is no HOST:PORT"), "\(byVariable.errors)")
    }
}
