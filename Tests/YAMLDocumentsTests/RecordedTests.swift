import Foundation
import TandemAPI
import Testing
import YAMLDocuments

/// The values that `kubectl` read in texts (Recorded/record.py asked it), also on machines without it.
@Suite("Texts that kubectl was asked about")
struct RecordedTests {
    private static let cases: [JSONValue] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Recorded/recorded.jsonl")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { try? JSONValue(parsing: String($0)) }
    }()

    @Test("give the same values")
    func readsTheSame() throws {
        #expect(Self.cases.count > 300)
        for one in Self.cases {
            let text = try #require(one["text"]?.stringValue)
            let specs = (try? YAMLDocuments.read(text)).map { documents in documents.map { $0["spec"] ?? .null } }
            #expect(specs?.map(\.normalised) == one["specs"]?.arrayValue?.map(\.normalised), "\(text)")
        }
    }
}

extension JSONValue {
    /// Numbers in one spelling.
    var normalised: JSONValue {
        switch self {
        case .number(let digits): Int64(digits) == nil ? .number("\(Double(digits) ?? .nan)") : self
        case .array(let elements): .array(elements.map(\.normalised))
        case .object(let object):
            .object(
                object.members.reduce(into: JSONObject()) { result, member in
                    result[member.name] = member.value.normalised
                })
        default: self
        }
    }
}
