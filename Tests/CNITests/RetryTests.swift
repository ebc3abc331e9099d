import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("tandem-cni and a server that is not there, or not any more", .serialized)
struct RetryTests {
    /// A plugin that is started and not waited for.
    private final class Running {
        private let process = Process()
        private let output = Pipe()

        init(_ plugin: PluginProcess, in directory: ScratchDirectory) throws {
            let file = "\(directory.path)/conf.json"
            try Data(plugin.configuration.text.bytes).write(to: URL(fileURLWithPath: file))
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = PluginProcess.environment("ADD", "c1") + [PluginProcess.program]
            process.standardInput = FileHandle(forReadingAtPath: file)
            process.standardOutput = output
            try Children.start(process)
        }

        func answer() throws -> JSONValue {
            let text = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return try JSONValue(parsing: text)
        }
    }

    @Test("no server there is error 11 once the time is up; for DEL too")
    func saysTryAgainLater() throws {
        let directory = ScratchDirectory()
        let port: Int
        do { port = try ServerProcess(directory.path).port }
        let plugin = PluginProcess(port: port, ipam: ["timeoutMs": 100])
        for command in ["ADD", "DEL"] {
            let answer = plugin(command)
            #expect(answer.status == 1 && answer.code == 11, "\(answer.text)")
            #expect(answer.message.contains("127.0.0.1 port \(port): Connection refused"), "\(answer.message)")
        }
    }

    @Test("a server that starts while the time runs is found")
    func waitsForServer() throws {
        let directory = ScratchDirectory()
        let port: Int
        do { port = try ServerProcess(directory.path).port }
        let running = try Running(PluginProcess(port: port, ipam: ["timeoutMs": 300_000]), in: directory)
        let server = try ServerProcess(directory.path, port: port)
        #expect(try running.answer()["ips"]?.arrayValue?.count == 2)
        #expect(server.port == port)
    }

    @Test("an answer to ADD that was lost on its way is found again by the retry")
    func findsLostAnswer() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let relay = try Relay(to: server.port)
        let running = try Running(PluginProcess(port: relay.port, ipam: ["timeoutMs": 300_000]), in: directory)
        let stream = try LineStream(port: server.port)
        // The relay keeps the first answer to itself; that there is one is seen at the server.
        var pods: [JSONValue] = []
        while pods.isEmpty {
            pods = stream.call(.listPods, ["nodeName": "n1"])?["result"]?["items"]?.arrayValue ?? []
        }
        relay.cut()
        let answer = try running.answer()
        #expect(answer["ips"]?.arrayValue?.first?["address"] == "10.244.0.2/24", "\(answer)")
        #expect(stream.call(.listPods, ["nodeName": "n1"])?["result"]?["items"]?.arrayValue?.count == 1)
    }

    @Test("certificates that the other side does not take are no matter of trying again")
    func refusesCertificates() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let others = ScratchDirectory()
        #expect(Command.run("bash", [Certificates.script, others.path]).status == 0)
        var plugin = PluginProcess(port: server.port, ipam: ["caFile": .string("\(others.path)/ca.crt")])
        let distrusted = plugin("ADD")
        #expect(distrusted.code == 116 && distrusted.message.contains("does not verify"), "\(distrusted.text)")
        plugin.ipam = [
            "certFile": .string("\(others.path)/node-n1.crt"), "keyFile": .string("\(others.path)/node-n1.key"),
        ]
        let foreign = plugin("ADD")
        #expect(foreign.code == 116, "\(foreign.text)")
        plugin.ipam = ["server": .string("127.0.0.2:\(server.port)"), "timeoutMs": 100]
        #expect(plugin("ADD").code == 11)
    }
}
