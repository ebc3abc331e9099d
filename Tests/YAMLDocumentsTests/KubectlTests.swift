import TandemAPI
import TestSupport
import Testing
import YAMLDocuments

/// The reader beside `kubectl`: of any document they read the same.
@Suite("kubectl reads the same", .enabled(if: Kubectl.isThere, Kubectl.absence))
struct KubectlTests {
    private let kubectl = Kubectl()

    private func spec(_ document: String) -> JSONValue? {
        (try? YAMLDocuments.read(document))?.first.map { $0["spec"] ?? .null }
    }

    @Test("of documents of odd scalars, keys, merges and styles", arguments: seeds)
    func readsDocuments(_ seed: UInt64) throws {
        var random = RandomYAML(seed: seed)
        let documents = (0..<600).map { _ in random.document() }.map { ($0, spec($0)) }
        let readable = documents.filter { $0.1 != nil }
        #expect(readable.count > 300)
        for ((document, ours), theirs) in zip(readable, try kubectl.specs(readable.map(\.0))) {
            #expect(ours?.normalised == theirs?.normalised, "seed \(seed)\n\(document)")
        }
        // A process each.
        for (document, _) in documents.filter({ $0.1 == nil }).prefix(8) {
            #expect(try kubectl.specs([document]) == [nil], "seed \(seed)\n\(document)")
        }
    }
}
