import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("Tenants' texts on an administrator's terminal", .serialized)
struct TerminalTests {
    /// Sets a window's title, returns to the line's start, begins a line, clears the screen by a C1 control, and turns the text after it
    /// round.
    private static let hostile = "a\u{1B}]0;gone\u{7}\rb\nservice/fake created\u{9B}2J\u{7F}\u{202E}c\u{2066}\u{2028}d"

    /// Characters that a terminal acts on, but for line feeds.
    private func hidden(in text: String) -> [String] {
        let ranges: [ClosedRange<UInt32>] = [0...9, 0xB...0x1F, 0x7F...0x9F, 0x2028...0x202E, 0x2066...0x2069]
        return text.unicodeScalars.filter { scalar in ranges.contains { $0.contains(scalar.value) } }
            .map { String($0.value, radix: 16) }
    }

    private static let service: JSONValue = [
        "apiVersion": "v1", "kind": "Service",
        "metadata": [
            "name": "web", "labels": ["team": .string(hostile)], "annotations": [hostile: .string(hostile)],
        ],
        "spec": ["selector": ["app": .string(hostile)], "ports": [["port": 80]]],
    ]

    @Test("tables, YAML and JSON show it escaped; YAML and JSON have the same values all the same")
    func showsObjects() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stream = try LineStream(port: server.port)
        #expect(stream.call(.allocateServiceIPs, ["service": Self.service])?["result"] != nil)
        let ctl = Ctl(port: server.port)
        for words in ["get svc", "get svc -o wide", "get svc -o name", "get svc web -o yaml", "get svc web -o json"] {
            let shown = ctl(words)
            #expect(shown.status == 0 && shown.output.contains("web"), "\(words): \(shown.errors)")
            #expect(hidden(in: shown.output) == [] && hidden(in: shown.errors) == [], "\(words)")
            #expect(!shown.output.split(separator: "\n").contains { $0.hasPrefix("service/fake created") }, "\(words)")
        }
        #expect(ctl("get svc -o wide").output.contains(#"app=a\u001b]0;gone\u0007\rb\nservice/fake created\u009b2J"#))
        let stored = try JSONValue(parsing: ctl("get svc web -o json").output)
        #expect(stored["metadata"]?["labels"]?["team"] == .string(Self.hostile))
        #expect(stored["metadata"]?["annotations"]?[Self.hostile] == .string(Self.hostile))
        // As YAML it is the same object again.
        let file = "\(directory.path)/web.yaml"
        try ctl("get svc web -o yaml").output.write(toFile: file, atomically: true, encoding: .utf8)
        #expect(ctl.run(["apply", "-f", file]).output == "service/web unchanged\n")
    }

    @Test("errors that quote it, of the server and of this program, for one object and for several")
    func showsErrors() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let ctl = Ctl(port: server.port)
        var wrong = Self.service
        wrong["spec"]?["type"] = .string(Self.hostile)
        wrong["spec"]?["ipFamilies"] = [.string(Self.hostile)]
        var named = Self.service
        named["metadata"]?["name"] = .string(Self.hostile)
        var strange = Self.service
        strange["kind"] = .string(Self.hostile)
        let list: JSONValue = ["apiVersion": "v1", "kind": "List", "items": [wrong, named]]
        for (manifest, status) in [(wrong, 1), (named, 1), (list, 1), (strange, 2)] as [(JSONValue, Int32)] {
            for command in ["apply", "import", "delete", "check"] {
                let shown = ctl("\(command) -f -", input: manifest.text.description)
                #expect(hidden(in: shown.output) == [] && hidden(in: shown.errors) == [], "\(command): \(shown.errors)")
                let lines = (shown.output + shown.errors).split(separator: "\n")
                #expect(!lines.contains { $0.hasPrefix("service/fake created") }, "\(command)")
                if command == "apply" { #expect(shown.status == status, "\(shown.errors)") }
            }
        }
        for words in [["get", "svc", Self.hostile], ["lookup", Self.hostile], ["get", Self.hostile]] {
            let shown = ctl.run(words)
            #expect(shown.status != 0 && hidden(in: shown.errors) == [], "\(shown.errors)")
        }
    }

    @Test("the server's log and its audit log")
    func showsLogs() throws {
        let directory = ScratchDirectory()
        let audit = "\(directory.path)/audit.log"
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--audit-log-path=\(audit)"])
        let stream = try LineStream(port: server.port)
        var wrong = Self.service
        wrong["metadata"]?["name"] = .string(Self.hostile)
        #expect(stream.call(.allocateServiceIPs, ["service": wrong])?["error"] != nil)
        #expect(server.nextLogLine(with: "INVALID_ARGUMENT") != nil)
        #expect(server.stop() == 0)
        let entries = try String(contentsOfFile: audit, encoding: .utf8)
        #expect(entries.contains("u009b2J") && hidden(in: entries) == [], "\(entries)")
        #expect(server.log.text.contains("u009b2J") && hidden(in: server.log.text) == [], "\(server.log.text)")
    }
}
