import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// The page on clients, and clients made of the OpenRPC document, against a real server.
@Suite("Clients in other languages", .enabled(if: Project.tool("python3") != nil))
struct ClientLanguageTests {
    private let directory = ScratchDirectory()

    /// The page's example in a language, for a server at the port.
    private func example(_ language: String, _ port: Int) throws -> String {
        let page = try Project.text("Sources/TandemServer/Documentation.docc/Clients.md")
        let parts = page.components(separatedBy: "```\(language)\n")
        try #require(parts.count == 2)
        let code = try #require(parts[1].components(separatedBy: "\n```").first)
        let certificates = Certificates.shared
        return code.replacing("certs/dev/ca.crt", with: certificates.ca)
            .replacing("certs/dev/admin.crt", with: certificates.certificate("admin"))
            .replacing("certs/dev/admin.key", with: certificates.key("admin")).replacing("8443", with: "\(port)")
    }

    @Test("the page's example in Python gives a pod its addresses")
    func python() throws {
        let server = try ServerProcess(directory.path)
        let result = Command.run("python3", ["-"], input: try example("python", server.port))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("{'ip': '10.244.0.") && result.output.contains("{'ip': 'fd00:10:244:"))
        #expect(server.stop() == 0)
    }

    @Test("the page's example in Go does the same", .enabled(if: Project.tool("go") != nil, "where Go is"))
    func go() throws {
        let server = try ServerProcess(directory.path)
        let file = "\(directory.path)/main.go"
        try example("go", server.port).write(toFile: file, atomically: true, encoding: .utf8)
        let result = Command.run("go", ["run", file])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains(#"{"ip":"10.244.0."#) && result.output.contains(#"{"ip":"fd00:10:244:"#))
        #expect(server.stop() == 0)
    }

    @Test("a client that is generated from the OpenRPC document makes each call, and gets results of its types")
    func generated() throws {
        let server = try ServerProcess(directory.path)
        let document = Curl(port: server.port, role: nil).request("/openrpc.json").body
        let made = Command.run("python3", ["\(Project.root)/Tests/OpenRPC/generate.py"], input: document)
        #expect(made.status == 0, "\(made.errors)")
        try made.output.write(toFile: "\(directory.path)/tandem.py", atomically: true, encoding: .utf8)
        let certificates = Certificates.shared
        let result = Command.run(
            "/usr/bin/env",
            [
                "PYTHONPATH=\(directory.path)", "PYTHONDONTWRITEBYTECODE=1", "python3",
                "\(Project.root)/Tests/OpenRPC/use.py", "\(server.port)", certificates.ca,
                certificates.certificate("admin"), certificates.key("admin"),
            ], input: document)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == "\(TandemAPI.Method.allCases.count - 2) calls\n")
        #expect(server.stop() == 0)
    }
}
