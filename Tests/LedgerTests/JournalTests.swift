import Dispatch
import FaultyLog
import Foundation
import GRDB
import Measures
import Synchronization
import TestSupport
import Testing

@testable import Ledger

@Suite("The journal")
struct JournalTests {
    /// Lets the test decide when a commit goes on.
    private final class GatedLog: Ledger.Log {
        let groups = Noted<Int>()
        let entered = DispatchSemaphore(value: 0)
        let gate = DispatchSemaphore(value: 0)
        private let event = Mutex<LogEvent?>(nil)
        func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 { 0 }
        func replay(_ body: (Proposal) throws -> Bool) throws {}
        func append(_ group: [Proposal]) {
            groups.add(group.count)
            entered.signal()
            gate.wait()
            event.withLock { $0 = .landed }
        }
        func next() -> LogEvent? { event.withLock { $0.take() } }
        func noteRefused(_ index: Int) {}
        func maintain(isIdle: Bool) throws(LedgerError) -> Bool { false }
        func close() {}
    }

    private func proposal(_ number: UInt64) -> Proposal { .delete(.service, "a/\(number)") }

    private func flush(_ journal: Journal) async {
        await withCheckedContinuation { continuation in journal.flush { continuation.resume() } }
    }

    @Test("proposals that queue up while a commit runs go into the next, whole and in order")
    func gathers() async {
        let store = GatedLog()
        let journal = Journal(log: store)
        let acknowledged = Noted<UInt64>()
        for version in 0..<10 as Range<UInt64> {
            journal.send(proposal(version)) { _ in acknowledged.add(version) }
            if version == 0 { store.entered.wait() }
        }
        #expect(acknowledged.all.isEmpty)
        for _ in 0..<2 { store.gate.signal() }
        await flush(journal)
        #expect(store.groups.all == [1, 9])
        #expect(acknowledged.all == Array(0..<10))
        journal.stop()
    }

    @Test("the lag is the proposals': a caller that only waits for them adds none")
    func measuresLag() {
        let clock = Mutex<UInt64>(1_000_000_000)
        let journal = Journal(
            log: FaultyLog(), runsOwnThread: false, now: { Moment(nanoseconds: clock.withLock { $0 }) })
        journal.flush {}
        clock.withLock { $0 += 3_000_000 }
        #expect(journal.statistics.lag == 0)
        journal.send(proposal(1)) { _ in }
        clock.withLock { $0 += 5_000_000 }
        #expect(journal.statistics.lag == 5_000_000)
        while journal.step() {}
        #expect(journal.statistics.lag == 0)
        journal.stop()
    }

    /// A client that is there, or has left.
    private final class Client: Asker {
        let hasLeft: Bool
        init(hasLeft: Bool) { self.hasLeft = hasLeft }
    }

    @Test("of a group abandoned proposals are not appended; the others keep their order and their verdicts")
    func dropsAbandoned() {
        let log = FaultyLog()
        let journal = Journal(log: log, runsOwnThread: false)
        let outcomes = Noted<String>()
        for number in 0..<6 {
            let asker = number == 5 ? nil : Client(hasLeft: number % 2 == 0)
            journal.submit(.put(.service, "a/\(number)"), for: asker) { result in
                switch result {
                case .success: outcomes.add("\(number) landed")
                case .failure(let error): outcomes.add("\(number) \(error.code)")
                }
                return number != 3
            }
            if number == 3 { journal.flush { outcomes.add("barrier") } }
        }
        journal.step()
        #expect(
            outcomes.all == [
                "0 abandoned", "2 abandoned", "4 abandoned", "1 landed", "3 landed", "5 landed", "barrier",
            ])
        #expect(log.stored.map(\.key.key) == ["a/1", "a/5"])
        #expect(journal.statistics.proposals == 3)
        journal.submit(.put(.service, "b"), for: Client(hasLeft: true)) { _ in true }
        journal.step()
        #expect(journal.statistics.groups == 1, "a group of nobody's is none")
        journal.stop()
    }

    @Test("when storage falls behind, further changes are refused at once; those that wait are kept, and it recovers")
    func refusesWhenLate() async {
        let store = GatedLog()
        let clock = Mutex<UInt64>(1_000_000_000)
        let journal = Journal(log: store, now: { Moment(nanoseconds: clock.withLock { $0 }) })
        let outcomes = Noted<String>()
        func submit(_ version: UInt64) {
            journal.send(proposal(version)) { result in
                switch result {
                case .success: outcomes.add("\(version) kept")
                case .failure(let error): outcomes.add("\(version) \(error.code)")
                }
            }
        }
        submit(0)
        store.entered.wait()
        // The one in flight is not the queue's; the wait is counted from the first behind it.
        submit(1)
        clock.withLock { $0 += UInt64(JournalLimits.maximumWaitMilliseconds) * 1_000_000 }
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

    @Test("late is the first that waits now, not one that was served; a look before the call gives the same answer")
    func measuresTheFirst() {
        let clock = Mutex<UInt64>(0)
        func pass(milliseconds: Int) { clock.withLock { $0 += UInt64(milliseconds) * 1_000_000 } }
        let journal = Journal(
            log: FaultyLog(), runsOwnThread: false, now: { Moment(nanoseconds: clock.withLock { $0 }) })
        let refused = Noted<LedgerError.Code>()
        func submit(_ version: UInt64) {
            journal.send(proposal(version)) { if case .failure(let error) = $0 { refused.add(error.code) } }
        }
        for version in 0..<UInt64(GroupLimits.standard.proposals) { submit(version) }
        pass(milliseconds: JournalLimits.maximumWaitMilliseconds - 500)
        submit(1)
        journal.step()
        pass(milliseconds: 1_000)
        submit(2)
        #expect(refused.all.isEmpty)
        #expect(!journal.isCongested())
        pass(milliseconds: JournalLimits.maximumWaitMilliseconds)
        submit(3)
        #expect(refused.all == [.queueFull])
        #expect(journal.isCongested())
        journal.step()
        #expect(!journal.isCongested())
        submit(4)
        #expect(refused.all == [.queueFull])
        journal.stop()
    }

    @Test("a full queue refuses at once, and takes more when it has room")
    func limitsItsQueue() async {
        let store = GatedLog()
        // The clock stands: how many wait is all that decides.
        let journal = Journal(log: store, now: { Moment(nanoseconds: 0) })
        journal.send(proposal(0)) { _ in }
        store.entered.wait()
        for _ in 0..<JournalLimits.maximumQueue / 2 { journal.send(proposal(1)) { _ in } }
        let refused = Noted<LedgerError.Code>()
        journal.send(proposal(2)) { if case .failure(let error) = $0 { refused.add(error.code) } }
        #expect(refused.all == [.queueFull])
        for _ in 0..<100 { store.gate.signal() }
        await flush(journal)
        let kept = Noted<Bool>()
        journal.send(proposal(3)) { _ in kept.add(true) }
        await flush(journal)
        #expect(kept.all == [true])
        #expect(journal.statistics.proposals == UInt64(JournalLimits.maximumQueue) / 2 + 2)
        journal.stop()
    }

    @Test("a queue is full by its bytes as well; a group has so many of them, and those that wait are kept")
    func limitsItsBytes() {
        let store = FaultyLog()
        let journal = Journal(log: store, runsOwnThread: false)
        let (kept, refused) = (Noted<UInt64>(), Noted<LedgerError.Code>())
        func submit(_ version: UInt64, bytes: Int) {
            let form = StoredForm(document: [UInt8](repeating: 32, count: bytes))
            journal.send(Proposal([.put(ObjectKey(.service, "a/\(version)"), form)])) { result in
                switch result {
                case .success: kept.add(version)
                case .failure(let error): refused.add(error.code)
                }
            }
        }
        let room = JournalLimits.maximumQueueBytes >> 21
        for version in 0..<UInt64(room) { submit(version, bytes: 1 << 20) }
        #expect(refused.all.isEmpty && !journal.isCongested())
        submit(1_000, bytes: 1)
        #expect(refused.all == [.queueFull] && journal.isCongested())
        journal.step()
        #expect(!journal.isCongested())
        // Beside its document a proposal has a key, lengths and the like.
        #expect(kept.all == Array(0..<UInt64(GroupLimits.standard.bytes >> 20) - 1))
        submit(1_001, bytes: 1 << 20)
        while journal.step() || journal.statistics.queued > 0 {}
        #expect(refused.all == [.queueFull] && kept.all == Array(0..<UInt64(room)) + [1_001])
        // One that is larger than a group may be goes alone.
        submit(1_002, bytes: GroupLimits.standard.bytes + 1)
        journal.step()
        #expect(kept.all.last == 1_002)
        journal.stop()
    }

    @Test(
        "an unknown outcome is looked up before anything is acknowledged",
        arguments: [(FaultyLog.Fault.unknownButKept, true), (.unknownAndLost, false), (.notCommitted, false)])
    func resolvesOutcomes(_ fault: FaultyLog.Fault, _ isKept: Bool) async {
        let store = FaultyLog { $0 == 0 ? fault : nil }
        let journal = Journal(log: store)
        let results = Noted<Bool>()
        for version in 0..<2 as Range<UInt64> {
            journal.send(proposal(version)) { result in
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
        let store = FaultyLog { $0 == 0 ? .unresolvable : nil }
        let journal = Journal(log: store)
        let failures = Noted<String>()
        journal.onFailure { failures.add("before: \($0.code)") }
        let results = Noted<LedgerError.Outcome?>()
        journal.send(proposal(0)) { result in
            if case .failure(let error) = result { results.add(error.outcome) } else { results.add(nil) }
        }
        await flush(journal)
        journal.send(proposal(1)) { result in
            if case .failure(let error) = result { results.add(error.outcome) } else { results.add(nil) }
        }
        #expect(results.all == [.unknown, .notCommitted])
        #expect(journal.fault?.outcome == .unknown)
        journal.onFailure { failures.add("after: \($0.code)") }
        #expect(failures.all == ["before: inputOutput", "after: inputOutput"])
        journal.stop()
    }

    @Test("SQLite's message is kept, however often the failure is reported, and so is the state of the proposals")
    func carriesCause() throws {
        for code in [ResultCode.SQLITE_FULL, .SQLITE_IOERR, .SQLITE_BUSY, .SQLITE_CORRUPT] {
            let error = LedgerError.converted(DatabaseError(resultCode: code), "/nowhere/tandem.db", .unknown)
            #expect(error.outcome == .unknown && (error.cause as? DatabaseError)?.resultCode == code)
            let later = error.with(.notCommitted)
            #expect(later.outcome == .notCommitted && later.code == error.code && later.message == error.message)
            #expect((later.cause as? DatabaseError)?.resultCode == code)
        }
        let other = LedgerError.converted(CancellationError(), "/nowhere/tandem.db", .unknown)
        #expect(other.outcome == .unknown && other.cause is CancellationError)
    }

    @Test("stopping commits queued proposals, and refuses later ones")
    func stops() throws {
        let directory = ScratchDirectory()
        let journal = Journal(log: try SQLiteLog(directory: directory.path))
        var maker = ProposalMaker(seed: 9)
        var twin = StoredTables()
        let acknowledged = Noted<Bool>()
        for _ in 0..<500 {
            let proposal = maker.next()
            twin.take(proposal)
            journal.send(proposal) { if case .success = $0 { acknowledged.add(true) } }
        }
        journal.stop()
        #expect(acknowledged.all.count == 500)
        let refused = Noted<LedgerError.Code>()
        journal.send(proposal(1)) { if case .failure(let error) = $0 { refused.add(error.code) } }
        #expect(refused.all == [.stopped])
        let store = try SQLiteLog(directory: directory.path)
        #expect(try StoredTables(starting: store) == twin)
        store.close()
    }

    @Test(
        "the log is told which of a group are refused, by their places among its proposals; the end of each group is said"
    )
    func tellsRefusals() {
        let log = FaultyLog()
        let ends = Noted<Int>()
        let settled = Noted<Int>()
        let journal = Journal(log: log, runsOwnThread: false, groupEnded: { ends.add(settled.all.count) })
        for number in 0..<6 {
            journal.submit(.put(.pod, "p\(number)")) { _ in
                settled.add(number)
                return number % 3 == 1
            }
            journal.flush {}
        }
        journal.step()
        #expect(log.stored.map(\.key.key) == ["p1", "p4"])
        #expect(ends.all == [6])
        journal.flush { settled.add(7) }
        journal.step()
        #expect(ends.all == [6, 7])
        journal.stop()
    }

    @Test("a log that has news wakes the journal, whose group waits meanwhile")
    func wakes() async {
        let store = SharedLog.Store()
        let (member, other) = (SharedLog.Member(store), SharedLog.Member(store))
        let (seen, settled) = (Noted<Int>(), Noted<Bool>())
        // Nothing that takes less than an hour is due to its being idle.
        let journal = Journal(
            log: member, idleMilliseconds: 3_600_000,
            foreign: { proposals in
                seen.add(proposals.count)
                return proposals.map { _ in true }
            })
        for _ in 0..<50 {
            other.append([.put(.node, "n")])
            store.land(other)
            let count = seen.all.count
            member.deliver(1)
            while seen.all.count == count { await Task.yield() }
        }
        journal.submit(proposal(1)) { _ in
            settled.add(true)
            return true
        }
        while !member.hasInFlight { await Task.yield() }
        journal.submit(proposal(2)) { _ in
            settled.add(true)
            return true
        }
        #expect(settled.all.isEmpty)
        for count in 1...2 {
            while !store.land(member) { await Task.yield() }
            member.deliver(1)
            while settled.all.count < count { await Task.yield() }
        }
        journal.stop()
    }

    @Test("a group whose outcome never comes has an unknown one, when the journal stops or fails")
    func endsFlights() {
        let outcomes = Noted<LedgerError.Outcome?>()
        @Sendable func note(_ result: Result<Void, LedgerError>) {
            if case .failure(let error) = result { outcomes.add(error.outcome) } else { outcomes.add(nil) }
        }
        let stopped = Journal(log: SharedLog.Member(SharedLog.Store()), runsOwnThread: false)
        stopped.send(proposal(1), note)
        stopped.step()
        stopped.send(proposal(2), note)
        stopped.stop()
        #expect(outcomes.all == [.unknown, .notCommitted])
        let log = FailingLog()
        let failed = Journal(log: log, runsOwnThread: false)
        failed.send(proposal(1), note)
        failed.step()
        #expect(failed.fault?.code == .corrupt)
        failed.send(proposal(2), note)
        #expect(outcomes.all.dropFirst(2) == [.unknown, .notCommitted])
        failed.stop()
        #expect(outcomes.all.count == 4)
    }

    /// Gives no outcome, and is found damaged.
    private final class FailingLog: Ledger.Log {
        func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 { 0 }
        func replay(_ body: (Proposal) throws -> Bool) throws {}
        func append(_ group: [Proposal]) {}
        func next() -> LogEvent? { nil }
        func noteRefused(_ index: Int) {}
        func maintain(isIdle: Bool) throws(LedgerError) -> Bool { throw LedgerError(.corrupt, "damaged") }
        func close() {}
    }
}
