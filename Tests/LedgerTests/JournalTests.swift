import Dispatch
import Foundation
import Metrics
import Synchronization
import TestSupport
import Testing

@testable import Ledger

@Suite("The journal")
struct JournalTests {
    /// Lets the test decide when a commit goes on.
    private final class GatedLedger: LedgerStore {
        let groups = Log<Int>()
        let entered = DispatchSemaphore(value: 0)
        let gate = DispatchSemaphore(value: 0)
        func recover(_ body: @Sendable (RecoveredObject) throws -> Void) throws -> UInt64 { 0 }
        func commit(_ transactions: [LedgerTransaction]) throws(LedgerError) -> [CommitVerdict] {
            groups.add(transactions.count)
            entered.signal()
            gate.wait()
            return transactions.map { _ in .committed }
        }
        func resolve() throws(LedgerError) -> Bool { false }
        func maintain(isIdle: Bool) throws(LedgerError) -> Bool { false }
        func close() {}
    }

    private func transaction(_ version: UInt64) -> LedgerTransaction {
        LedgerTransaction(records: [
            LedgerRecord(kind: .service, key: "a/\(version)", version: version, change: .delete)
        ])
    }

    private func flush(_ journal: Journal) async {
        await withCheckedContinuation { continuation in journal.flush { continuation.resume() } }
    }

    @Test("what queues up while a commit runs goes into the next, whole and in order")
    func gathers() async {
        let store = GatedLedger()
        let journal = Journal(store: store)
        let acknowledged = Log<UInt64>()
        for version in 0..<10 as Range<UInt64> {
            journal.submit(transaction(version)) { _ in acknowledged.add(version) }
            if version == 0 { store.entered.wait() }
        }
        #expect(acknowledged.all.isEmpty)
        for _ in 0..<2 { store.gate.signal() }
        await flush(journal)
        #expect(store.groups.all == [1, 9])
        #expect(acknowledged.all == Array(0..<10))
        journal.stop()
    }

    @Test("when storage falls behind, further changes are refused at once; those that wait are kept, and it recovers")
    func refusesWhenLate() async {
        let store = GatedLedger()
        let clock = Mutex<UInt64>(1_000_000_000)
        let journal = Journal(store: store, now: { Moment(nanoseconds: clock.withLock { $0 }) })
        let outcomes = Log<String>()
        func submit(_ version: UInt64) {
            journal.submit(transaction(version)) { result in
                switch result {
                case .success: outcomes.add("\(version) kept")
                case .failure(let error): outcomes.add("\(version) \(error.code)")
                }
            }
        }
        submit(0)
        store.entered.wait()
        // The one under way is not the queue's; the first behind it is what the wait is counted from.
        submit(1)
        clock.withLock { $0 += UInt64(Journal.maximumWaitMilliseconds) * 1_000_000 }
        submit(2)
        clock.withLock { $0 += 1 }
        submit(3)
        #expect(outcomes.all == ["3 queueFull"])
        for _ in 0..<2 { store.gate.signal() }
        await flush(journal)
        #expect(outcomes.all == ["3 queueFull", "0 kept", "1 kept", "2 kept"])
        store.gate.signal()
        submit(4)
        await flush(journal)
        #expect(outcomes.all.last == "4 kept")
        journal.stop()
    }

    @Test("late is the first that waits now, not one that was served; who looks before he asks is told the same")
    func measuresTheFirst() {
        let clock = Mutex<UInt64>(0)
        func pass(milliseconds: Int) { clock.withLock { $0 += UInt64(milliseconds) * 1_000_000 } }
        let journal = Journal(
            store: FaultyLedger(), runsOwnThread: false, now: { Moment(nanoseconds: clock.withLock { $0 }) })
        let refused = Log<LedgerError.Code>()
        func submit(_ version: UInt64) {
            journal.submit(transaction(version)) { if case .failure(let error) = $0 { refused.add(error.code) } }
        }
        for version in 0..<UInt64(Journal.maximumGroup) { submit(version) }
        pass(milliseconds: Journal.maximumWaitMilliseconds - 500)
        submit(1)
        journal.step()
        pass(milliseconds: 1_000)
        submit(2)
        #expect(refused.all.isEmpty)
        #expect(!journal.isCongested)
        pass(milliseconds: Journal.maximumWaitMilliseconds)
        submit(3)
        #expect(refused.all == [.queueFull])
        #expect(journal.isCongested)
        journal.step()
        #expect(!journal.isCongested)
        submit(4)
        #expect(refused.all == [.queueFull])
        journal.stop()
    }

    @Test("a full queue refuses at once, and takes more when it has room")
    func limitsItsQueue() async {
        let store = GatedLedger()
        let journal = Journal(store: store)
        journal.submit(transaction(0)) { _ in }
        store.entered.wait()
        for _ in 0..<Journal.maximumQueue { journal.submit(transaction(1)) { _ in } }
        let refused = Log<LedgerError.Code>()
        journal.submit(transaction(2)) { if case .failure(let error) = $0 { refused.add(error.code) } }
        #expect(refused.all == [.queueFull])
        for _ in 0..<100 { store.gate.signal() }
        await flush(journal)
        let kept = Log<Bool>()
        journal.submit(transaction(3)) { _ in kept.add(true) }
        await flush(journal)
        #expect(kept.all == [true])
        #expect(journal.statistics.records == UInt64(Journal.maximumQueue) + 2)
        journal.stop()
    }

    @Test("a queue is full by its bytes as well; a group has so many of them, and those that wait are kept")
    func limitsItsBytes() {
        let store = FaultyLedger()
        let journal = Journal(store: store, runsOwnThread: false)
        let (kept, refused) = (Log<UInt64>(), Log<LedgerError.Code>())
        func submit(_ version: UInt64, bytes: Int) {
            let record = LedgerRecord(
                kind: .service, key: "a/\(version)", version: version,
                change: .put(document: [UInt8](repeating: 32, count: bytes), context: [], holdings: []))
            journal.submit(LedgerTransaction(records: [record])) { result in
                switch result {
                case .success: kept.add(version)
                case .failure(let error): refused.add(error.code)
                }
            }
        }
        let room = Journal.maximumQueueBytes >> 20
        for version in 0..<UInt64(room) { submit(version, bytes: 1 << 20) }
        #expect(refused.all.isEmpty && !journal.isCongested)
        submit(100, bytes: 1)
        #expect(refused.all == [.queueFull] && journal.isCongested)
        journal.step()
        #expect(!journal.isCongested)
        // Beside its document a record has a key, a version and the like.
        #expect(kept.all == Array(0..<UInt64(Journal.maximumGroupBytes >> 20) - 1))
        submit(101, bytes: 1 << 20)
        while journal.step() || journal.statistics.queued > 0 {}
        #expect(refused.all == [.queueFull] && kept.all == Array(0..<UInt64(room)) + [101])
        // One that is larger than a group may be goes alone.
        submit(102, bytes: Journal.maximumGroupBytes + 1)
        journal.step()
        #expect(kept.all.last == 102)
        journal.stop()
    }

    @Test(
        "an unknown outcome is looked up before anything is acknowledged",
        arguments: [(FaultyLedger.Fault.unknownButKept, true), (.unknownAndLost, false), (.notCommitted, false)])
    func resolvesOutcomes(_ fault: FaultyLedger.Fault, _ isKept: Bool) async {
        let store = FaultyLedger { $0 == 0 ? fault : nil }
        let journal = Journal(store: store)
        let results = Log<Bool>()
        for version in 0..<2 as Range<UInt64> {
            journal.submit(transaction(version)) { result in
                switch result {
                case .success: results.add(true)
                case .failure(let error):
                    #expect(error.outcome == .notCommitted)
                    results.add(false)
                }
            }
            await flush(journal)
        }
        #expect(results.all == [isKept, true])
        #expect(journal.fault == nil)
        journal.stop()
    }

    @Test("an outcome that can't be told ends all acknowledging, and is reported once")
    func failsForGood() async {
        let store = FaultyLedger { $0 == 0 ? .unresolvable : nil }
        let journal = Journal(store: store)
        let failures = Log<String>()
        journal.onFailure { failures.add("before: \($0.code)") }
        let results = Log<LedgerError.Outcome?>()
        journal.submit(transaction(0)) { result in
            if case .failure(let error) = result { results.add(error.outcome) } else { results.add(nil) }
        }
        await flush(journal)
        journal.submit(transaction(1)) { result in
            if case .failure(let error) = result { results.add(error.outcome) } else { results.add(nil) }
        }
        #expect(results.all == [.unknown, .notCommitted])
        #expect(journal.fault?.outcome == .unknown)
        journal.onFailure { failures.add("after: \($0.code)") }
        #expect(failures.all == ["before: inputOutput", "after: inputOutput"])
        journal.stop()
    }

    @Test("stopping commits what is queued, and refuses what comes after")
    func stops() throws {
        let directory = ScratchDirectory()
        let journal = Journal(store: try SQLiteLedger(directory: directory.path))
        var maker = TransactionMaker(seed: 9)
        var twin = Twin()
        let acknowledged = Log<Bool>()
        for _ in 0..<500 {
            let transaction = maker.next()
            twin.apply(transaction)
            journal.submit(transaction) { if case .success(.committed) = $0 { acknowledged.add(true) } }
        }
        journal.stop()
        #expect(acknowledged.all.count == 500)
        let refused = Log<LedgerError.Code>()
        journal.submit(transaction(1)) { if case .failure(let error) = $0 { refused.add(error.code) } }
        #expect(refused.all == [.stopped])
        let store = try SQLiteLedger(directory: directory.path)
        #expect(try Twin(recovering: store) == twin)
        store.close()
    }

    @Test("transactions survive their coding; bytes that were changed anywhere do not pass", arguments: seeds)
    func codes(_ seed: UInt64) throws {
        // Through the store: what is recovered before any checkpoint comes from the journal's bytes alone.
        let directory = ScratchDirectory()
        let store = try SQLiteLedger(directory: directory.path)
        var maker = TransactionMaker(seed: seed)
        var twin = Twin()
        for _ in 0..<50 {
            let transaction = maker.next()
            twin.apply(transaction)
            _ = try store.commit([transaction])
        }
        #expect(try Twin(recovering: store) == twin, "seed \(seed)")
        store.close()
    }
}
