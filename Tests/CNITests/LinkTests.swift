import Foundation
import ServerSupport
import TestSupport
import Testing

@Suite("Libraries that tandem-cni links")
struct LinkTests {
    private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../links.sh").standardized.path

    @Test("neither SQLite nor Foundation")
    func linksLittle() {
        let result = Command.run("bash", [Self.script, PluginProcess.program])
        #expect(result.status == 0, "\(result.errors)")
        // The same look at a program that links both.
        #expect(Command.run("bash", [Self.script, ServerProcess.program]).status == 1)
    }

    @Test("--help lists the fields of a configuration")
    func helps() {
        let help = Command.run(PluginProcess.program, ["--help"]).output
        for member in ["server", "caFile", "certFile", "keyFile", "node", "routes", "dns", "timeoutMs"] {
            #expect(help.contains("\"\(member)\""))
        }
        #expect(Command.run(PluginProcess.program, ["--version"]).output.hasPrefix("tandem-cni 0."))
        #expect(Command.run(PluginProcess.program, ["--what"]).status == 2)
    }
}
