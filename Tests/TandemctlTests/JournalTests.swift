import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// `tandemctl journal`, on the directory of a server that was killed.
@Suite("tandemctl journal")
struct JournalTests {
    /// It asks no server.
    private func journal(_ arguments: [String]) -> Command.Result {
        Command.run(ServerProcess.program("tandemctl"), ["journal"] + arguments)
    }

    @Test(
        "what a killed server had not brought into its tables is listed, as a table and as JSON; the next start has it")
    func lists() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let applied = Ctl(port: server.port)("apply -f -", input: "kind: Service\nmetadata: {name: web}\n")
        #expect(applied.status == 0, "\(applied.errors)")
        // Killed before or after its tables have the change: it is in one of the two.
        server.crash()
        let table = journal([directory.path])
        #expect(table.status == 0, "\(table.errors)")
        if table.output.isEmpty {
            #expect(table.errors.hasPrefix("No changes: the tables have all of them, up to number 1."))
        } else {
            let lines = table.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(lines.first == ["NUMBER", "CHANGE", "OBJECT", "HOLDS"])
            #expect(lines.last?.prefix(3) == ["1", "put", "services/default/web"])
            let json = try JSONValue(parsing: journal([directory.path, "-o", "json"]).output)
            #expect(
                json["number"]?.intValue == 1 && json["expects"]?.arrayValue?.first?["absent"] == "services/default/web"
            )
            let put = json["changes"]?.arrayValue?.first
            #expect(put?["document"]?["metadata"]?["name"] == "web")
            #expect(put?["holdings"]?.stringValue?.hasPrefix("clusterIP=10.96.") == true)
        }
        let next = try ServerProcess(directory.path)
        #expect(Ctl(port: next.port)("get svc web -o name").output == "service/web\n")
        #expect(next.stop() == 0)
    }

    @Test("a directory without a database is wrong usage, and says what to give")
    func refusesOthers() throws {
        let answer = journal(["/nowhere/at/all"])
        #expect(answer.status == 2)
        #expect(
            answer.errors
                == "error: /nowhere/at/all/tandem.db is not there: give the directory that is --data-dir of a server\n")
    }
}
