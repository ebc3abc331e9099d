import Addressing
import FaultyLog
import Foundation
import TestSupport
import Testing

@testable import Ledger

/// The fold gives the same versions as applying the proposals did, and writes only the last state of each object.
@Suite("Folding")
struct FoldTests {
    private let node = ObjectKey(.node, "n1")
    private let pod = ObjectKey(.pod, "p")
    private let form = StoredForm(document: Array("{}".utf8))

    /// Each split of the proposals into folds gives the same as applying them one by one; and at the end this.
    private func check(_ proposals: [Proposal]) throws -> StoredTables {
        var twin = StoredTables()
        for proposal in proposals { twin.take(proposal) }
        for split in 0...proposals.count {
            let directory = ScratchDirectory()
            var store = try SQLiteLog(directory: directory.path)
            try store.land(Array(proposals[..<split]))
            while try store.maintain(isIdle: true) {}
            // Several groups in one fold.
            for proposal in proposals[split...] { try store.land([proposal]) }
            #expect(try StoredTables(starting: store) == twin, "split at \(split), not folded")
            while try store.maintain(isIdle: true) {}
            store.close()
            store = try SQLiteLog(directory: directory.path)
            #expect(store.backlog == 0)
            #expect(try StoredTables(starting: store) == twin, "split at \(split)")
            store.close()
        }
        return twin
    }

    @Test("an object keeps the version with which it came into being, until it goes and comes again")
    func keepsCreated() throws {
        let twin = try check([
            Proposal([.put(node, form), .put(pod, form)]), Proposal([.put(node, form)]),
            Proposal([.delete(pod), .put(pod, form)]), Proposal([.put(pod, form)]),
        ])
        #expect(twin.records[node]?.created == 1 && twin.records[node]?.version == 3)
        #expect(twin.records[pod]?.created == 5 && twin.records[pod]?.version == 6)
    }

    @Test("a node stays marked as releasing through its updates, and not beyond its end")
    func keepsReleasing() throws {
        let marked = try check([
            Proposal([.put(node, form)]), Proposal([.markReleasing(node: "n1")]), Proposal([.put(node, form)]),
        ])
        #expect(marked.records[node]?.isReleasing == true)
        let again = try check([
            Proposal([.markReleasing(node: "n1")]), Proposal([.put(node, form)]),
            Proposal([.markReleasing(node: "n1")]), Proposal([.delete(node), .markReleasing(node: "n1")]),
            Proposal([.put(node, form), .markReleasing(node: "n2")]),
        ])
        #expect(again.records[node]?.isReleasing == false && again.records.count == 1)
    }

    @Test("a cooling range has the version given last, and thaws at that version alone")
    func thaws() throws {
        let (address, range) = (CIDR("10.0.0.1/32")!, CIDR("10.0.0.0/24")!)
        let twin = try check([
            Proposal([.put(pod, form), .cool(address, node: "n1", since: 5), .cool(range, node: "n1", since: 5)]),
            Proposal([.thaw(address, version: 2)]), Proposal([.thaw(range, version: 1), .put(pod, form)]),
        ])
        #expect(twin.version == 2 && twin.records.count == 2)
        #expect(twin.records[ObjectKey(.cooling, "10.0.0.1")]?.version == 1)
        let again = try check([
            Proposal([.put(pod, form), .cool(address, node: "n1", since: 5)]),
            Proposal([.thaw(address, version: 1), .cool(address, node: "n1", since: 6)]),
            Proposal([.thaw(address, version: 1)]), Proposal([.put(pod, form), .cool(address, node: "n1", since: 7)]),
        ])
        #expect(again.records[ObjectKey(.cooling, "10.0.0.1")]?.version == 2)
    }

    @Test("many rows of several kinds are written as one by one, new and known ones")
    func writesManyRows() throws {
        func put(_ kind: RecordKind, _ number: Int, _ text: String) -> Change {
            let address = Holding(pool: .podIP, address: IPAddress("10.0.0.\(number)")!)
            let form = StoredForm(
                document: Array("{\"\(text)\":\(number)}".utf8),
                context: number % 3 == 0 ? [] : Array("[\(number)]".utf8),
                holdings: number % 2 == 0 ? [] : [address])
            return .put(ObjectKey(kind, "o\(number)"), form)
        }
        let twin = try check([
            Proposal((1...40).flatMap { [put(.service, $0, "new"), put(.pod, $0, "new")] } + [.put(node, form)]),
            Proposal((20...60).map { put(.service, $0, "later") } + [.delete(ObjectKey(.service, "o3"))]),
            Proposal([.delete(ObjectKey(.pod, "o40")), put(.pod, 41, "later"), .markReleasing(node: "n1")]),
        ])
        #expect(twin.records.count == 59 + 40 + 1)
    }

    @Test("rows come in the order of kinds and of the bytes of keys, each once, with its last change")
    func ordersRows() {
        var step = FoldStep(version: 0)
        let keys = ["b", "a/b", "é", "a", "ab", "z", "a-b"].map { ObjectKey(.service, $0) }
        step.add(Proposal([.put(node, form), .put(pod, form)]))
        for _ in 1...2 { step.add(Proposal(keys.map { .put($0, form) })) }
        let sorted = ["a", "a-b", "a/b", "ab", "b", "z", "é"].map { ObjectKey(.service, $0) }
        #expect(step.records.map(\.key) == sorted + [node, pod])
        #expect(
            step.records.first { $0.key.key == "b" }.map { [$0.row.content?.version, $0.row.content?.created] } == [
                10, 3,
            ])
        #expect(step.version == 16 && step.count == 16)
    }

    @Test("a refused proposal takes no version and leaves nothing, wherever a fold ends")
    func passesOverRefusals() throws {
        let refused = Proposal(expecting: [Proposal.refusal], [.put(pod, form), .delete(node)])
        let twin = try check([
            refused, Proposal([.put(node, form)]), refused, refused, Proposal([.put(node, form)]), refused,
        ])
        #expect(twin.version == 2 && twin.records.count == 1)
    }

    @Test("a start that has not judged the journal folds nothing")
    func waitsForReplay() throws {
        let directory = ScratchDirectory()
        var store = try SQLiteLog(directory: directory.path)
        let refused = Proposal(expecting: [Proposal.refusal], [.put(pod, form)])
        try store.land([refused, .put(.node, "n1")])
        store.close()
        store = try SQLiteLog(directory: directory.path)
        while try store.maintain(isIdle: true) {}
        #expect(store.backlog == 2)
        #expect(try StoredTables(starting: store).version == 1)
        while try store.maintain(isIdle: true) {}
        #expect(store.backlog == 0)
        #expect(try StoredTables(starting: store).records.count == 1)
        store.close()
    }

    @Test("a row of an earlier release's journal that is missing is noticed: versions are counted")
    func noticesGaps() throws {
        let directory = ScratchDirectory()
        try SQLiteLog(directory: directory.path).close()
        let rows = journalRows((1...3).map { .put(.node, "n\($0)") }, behind: 0) + "DELETE FROM journal WHERE seq = 2"
        #expect(Command.run("sqlite3", ["\(directory.path)/tandem.db", rows]).status == 0)
        let store = try SQLiteLog(directory: directory.path)
        let found = #expect(throws: LedgerError.self) { try StoredTables(starting: store) }
        #expect(found?.code == .corrupt && found?.message.contains("behind 1 with row 3") == true)
        store.close()
    }

    @Test("refused numbers are found, and forgotten, as a set's would be", arguments: seeds)
    func remembersRefusals(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var (refused, twin) = (RefusedProposals(), Set<Int64>())
        for step in 0..<400 {
            let number = Int64.random(in: 0...300, using: &generator)
            if step % 50 == 49 {
                refused.forget(through: number / 2)
                twin = twin.filter { $0 > number / 2 }
            } else {
                refused.add(number)
                twin.insert(number)
            }
            for number in 0...301 as ClosedRange<Int64> {
                #expect(refused.contains(number) == twin.contains(number), "seed \(seed)")
            }
        }
    }
}
