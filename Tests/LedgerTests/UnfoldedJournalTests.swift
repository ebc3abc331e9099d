import FaultyLog
import Foundation
import TestSupport
import Testing

@testable import Ledger

/// A look at the journal of a directory, while a log is at work there and after its end.
@Suite("The journal's changes that the tables do not have yet")
struct UnfoldedJournalTests {
    private func proposals(_ count: Int, from first: Int = 1) -> [Proposal] {
        (first..<first + count).map { number in
            Proposal(
                expecting: [.absent(ObjectKey(.service, "default/s\(number)"))],
                [
                    .put(
                        ObjectKey(.service, "default/s\(number)"),
                        StoredForm(document: Array("{\"n\":\(number)}".utf8)))
                ])
        }
    }

    @Test("each proposal behind the tables, with its number, over several segments; none once the tables have all")
    func lists() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog.small(directory)
        let first = try UnfoldedJournal.read(directory: directory.path)
        #expect(first.folded == 0 && first.entries.isEmpty)
        let all = proposals(40)
        for proposal in all { try store.land([proposal]) }
        #expect(DataFiles(directory: directory.path).segments().count > 2)
        let found = try UnfoldedJournal.read(directory: directory.path)
        #expect(found.folded == 0)
        #expect(found.entries.map(\.number) == Array(1...40) && found.entries.map(\.proposal) == all)
        while try store.maintain(isIdle: true) {}
        let folded = try UnfoldedJournal.read(directory: directory.path)
        #expect(folded.folded == 40 && folded.entries.isEmpty)
        let more = proposals(3, from: 41)
        try store.land(more)
        let rest = try UnfoldedJournal.read(directory: directory.path)
        #expect(
            rest.folded == 40 && rest.entries.map(\.number) == [41, 42, 43] && rest.entries.map(\.proposal) == more)
        // The log goes on, and finds everything as it left it.
        try store.land(proposals(1, from: 44))
        store.close()
        let next = try SQLiteLog.small(directory)
        #expect(next.backlog == 4)
        next.close()
    }

    @Test("after a clean stop there is nothing, and the look leaves nothing behind that a start would mind")
    func afterAStop() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog.small(directory)
        try store.land(proposals(5))
        while try store.maintain(isIdle: true) {}
        store.close()
        let found = try UnfoldedJournal.read(directory: directory.path)
        #expect(found.folded == 5 && found.entries.isEmpty)
        let next = try SQLiteLog.small(directory)
        #expect(next.backlog == 0)
        next.close()
    }

    @Test("a group that is damaged, or a segment that is not there, is said, and no change behind it is shown")
    func damage() throws {
        let directory = ScratchDirectory()
        let store = try SQLiteLog.small(directory)
        for proposal in proposals(6) { try store.land([proposal]) }
        let copy = try directory.copy()
        store.close()
        let segment = "\(copy.path)/\(DataFiles(directory: copy.path).segments().sorted()[0])"
        var bytes = try #require(FileManager.default.contents(atPath: segment))
        bytes[GroupCoding.block + GroupCoding.headerBytes + 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: segment))
        let damaged = #expect(throws: LedgerError.self) { try UnfoldedJournal.read(directory: copy.path) }
        #expect(damaged?.message.contains("goes on with") == true, "\(String(describing: damaged))")
        try FileManager.default.removeItem(atPath: segment)
        let gone = #expect(throws: LedgerError.self) { try UnfoldedJournal.read(directory: copy.path) }
        #expect(gone?.message.contains("is not there") == true, "\(String(describing: gone))")
        let nowhere = #expect(throws: LedgerError.self) { try UnfoldedJournal.read(directory: copy.path + "/none") }
        #expect(nowhere?.message.contains("--data-dir") == true)
    }
}
