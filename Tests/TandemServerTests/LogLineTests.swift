import Addressing
import Logging
import TandemAPI
import Testing

@testable import LineLogs
@testable import TandemServer

@Suite("Lines of the logs")
struct LogLineTests {
    private static let long = String(repeating: "x", count: 100_000)

    /// The second and the last take six bytes each once they are written as JSON; many of the third are one `Character`.
    @Test(
        "a line is short whatever a client sent, and marks its cuts",
        arguments: [ServerConfiguration.LogFormat.text, .json], ["x", "\u{1}", "\u{301}", "\u{9B}"])
    func boundsLines(_ format: ServerConfiguration.LogFormat, _ part: String) throws {
        let value = String(repeating: part, count: 100_000)
        let handler = LineLogHandler(format: format)
        let names = ["error", "id", "object", "user"]
        let line = handler.line(
            .info, "\(value)", Dictionary(uniqueKeysWithValues: names.map { ($0, "\(value)") }))
        #expect(line.utf8.count <= LineLogHandler.maximumLineBytes)
        #expect(line.last == "\n" && line.dropLast().allSatisfy { $0 != "\n" })
        #expect(line.contains("…"))
        #expect(!line.dropLast().unicodeScalars.contains { $0.isHidden })
        // A long value pushes no other out.
        for name in names { #expect(line.contains(name)) }
        #expect(!line.contains("more"))
        if format == .json {
            let entry = try JSONValue(parsing: line)
            #expect(entry["user"]?.stringValue?.hasSuffix("…") == true)
        }
    }

    @Test("members that have no room are counted", arguments: [ServerConfiguration.LogFormat.text, .json])
    func countsMembers(_ format: ServerConfiguration.LogFormat) {
        let metadata: [(String, Logger.MetadataValue)] = (10..<30).map { ("name\($0)", "\(Self.long)") }
        let line = LineLogHandler(format: format).line(.info, "m", Dictionary(uniqueKeysWithValues: metadata))
        #expect(line.utf8.count <= LineLogHandler.maximumLineBytes)
        let shown = metadata.count { line.contains($0.0) }
        #expect(shown > 5 && line.contains("more") && line.contains(String(metadata.count - shown)))
    }

    @Test("a line of the audit log is short whatever a client sent")
    func boundsAuditLines() throws {
        let released = (0..<2_000).compactMap { IPAddress("10.0.\($0 / 256).\($0 % 256)") }
        var entry = AuditLog.Entry(
            time: "t", method: .release, id: JSONValue.string(Self.long).text,
            identity: Identity(user: Self.long, groups: Array(repeating: Self.long, count: 100)), peer: "p",
            object: Self.long, outcome: .success(AddressEffect(released: released.map { .address($0) }, more: 5)))
        let line = try JSONValue(parsing: AuditLog.line(entry))
        #expect(line["released"]?.arrayValue?.count == 1_024 && line["more"] == 981)
        #expect(line["object"]?.stringValue?.hasSuffix("…") == true)
        #expect(AuditLog.line(entry).count < 64 << 10)
        #expect(entry.bytes > 2 * Self.long.utf8.count)
        // Of an answer of a megabyte nothing is kept but its addresses.
        let large = CallResult.service(holding: [released[0]], isReplayed: true) {
            $0.text(Array(repeating: UInt8(ascii: " "), count: 1 << 20))
        }
        entry.outcome = .success(large.effect)
        #expect(entry.bytes < 4 * Self.long.utf8.count)
        entry.outcome = .failure(APIError(.internal, reason: "x", Self.long))
        #expect(AuditLog.line(entry).count < 16 << 10)
        #expect(try JSONValue(parsing: AuditLog.line(entry))["error"]?.stringValue?.hasSuffix("…") == true)
    }
}
