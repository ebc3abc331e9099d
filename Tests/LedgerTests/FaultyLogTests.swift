import FaultyLog
import Foundation
import Ledger
import Measures
import Synchronization
import TestSupport
import Testing

/// The logs in memory on which the layers above are tested: themselves tested against the logs that they stand for.
@Suite("Logs in memory")
struct FaultyLogTests {
    @Test("keep acknowledged entries, and have them at every restart", arguments: seeds)
    func keepsItsWord(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var maker = ProposalMaker(seed: seed)
        let disk = FaultyLog.Disk()
        var twin = StoredTables()
        for round in 0..<40 {
            let faults: [FaultyLog.Fault?] = (0..<8).map { _ in
                [nil, nil, .notCommitted, .unknownButKept, .unknownAndLost, .unresolvable, .unresolvableButKept]
                    .randomElement(using: &generator)!
            }
            let log = FaultyLog(disk: disk) { faults[$0] }
            #expect(try StoredTables(starting: log) == twin, "seed \(seed), round \(round)")
            for fault in faults {
                let group = (0..<Int.random(in: 1...20, using: &generator)).map { _ in maker.next() }
                let isKept = [nil, .unknownButKept, .unresolvableButKept].contains(fault)
                if isKept { for proposal in group { twin.take(proposal) } }
                do throws(any Error) {
                    try log.land(group)
                    #expect(fault == nil || fault == .unknownButKept)
                } catch let error as LedgerError {
                    let isUnknown = fault == .unresolvable || fault == .unresolvableButKept
                    #expect(fault != nil && (error.outcome == .unknown) == isUnknown)
                    // Nothing more may be asked of a log that could not tell.
                    if isUnknown { break }
                }
                #expect(disk.tables == twin)
                _ = try log.maintain(isIdle: true)
            }
        }
        #expect(disk.unfolded < 4_000)
    }

    /// The state that a server applies entries to: tables, and nothing else.
    private final class Books: Sendable {
        private let tables: Mutex<StoredTables>

        init(_ tables: StoredTables) { self.tables = Mutex(tables) }

        var all: StoredTables { tables.withLock { $0 } }

        func take(_ proposal: Proposal) -> Bool {
            tables.withLock { $0.take(proposal) }
            return proposal.isKept
        }
    }

    private struct Server {
        let member: SharedLog.Member
        let books: Books
        let journal: Journal

        init(_ store: SharedLog.Store, now: @escaping @Sendable () -> Moment = Moment.now) throws {
            member = SharedLog.Member(store)
            let books = Books(try StoredTables(starting: member))
            self.books = books
            journal = Journal(log: member, runsOwnThread: false, now: now, foreign: { $0.map { books.take($0) } })
        }

        func submit(_ proposal: Proposal, _ outcomes: Noted<String>) {
            journal.submit(proposal) { [books] result in
                guard case .success = result else {
                    outcomes.add("failed")
                    return false
                }
                outcomes.add("landed")
                return books.take(proposal)
            }
        }

        func run() { while journal.step() {} }
    }

    @Test(
        "several servers over one list of entries agree, however entries are delayed, repeated and lost",
        arguments: seeds)
    func servesSeveral(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var maker = ProposalMaker(seed: seed)
        let store = SharedLog.Store()
        var servers = try (0..<3).map { _ in try Server(store) }
        let outcomes = Noted<String>()
        var submitted = 0
        for _ in 0..<600 {
            let index = Int.random(in: 0..<3, using: &generator)
            let server = servers[index]
            switch Int.random(in: 0..<12, using: &generator) {
            case 0...3:
                server.submit(maker.next(), outcomes)
                submitted += 1
            case 4, 5: server.run()
            case 6, 7: for _ in 0..<Int.random(in: 1...2, using: &generator) { store.land(server.member) }
            case 8: store.loseAppend(server.member)
            case 9, 10: server.member.deliver(Int.random(in: 1...4, using: &generator))
            default:
                store.fold(Int.random(in: 1...5, using: &generator), by: server.member)
                // A server that ends without a word, and another in its place.
                if Int.random(in: 0..<4, using: &generator) == 0, !server.member.hasInFlight,
                    server.journal.statistics.queued == 0, server.member.behind == 0
                {
                    server.run()
                    servers[index] = try Server(store)
                }
            }
        }
        for server in servers {
            for _ in 0..<200 where server.journal.statistics.lag > 0 {
                server.run()
                store.land(server.member)
                server.member.deliver(.max)
            }
        }
        for server in servers {
            server.member.deliver(.max)
            server.run()
        }
        let twin = servers[0].books.all
        for server in servers { #expect(server.books.all == twin, "seed \(seed)") }
        #expect(outcomes.all.count == submitted)
        store.fold(.max, by: servers[1].member)
        #expect(store.folded == store.count && store.tables == twin)
        #expect(try StoredTables(starting: SharedLog.Member(store)) == twin)
    }

    @Test("a fence passes after the entries that had a place when the store answered; later ones share the next")
    func fences() throws {
        let store = SharedLog.Store()
        let (one, other) = (try Server(store), try Server(store))
        let outcomes = Noted<String>()
        func land() {
            one.submit(.put(.node, "n"), outcomes)
            one.run()
            store.land(one.member)
        }
        let passed = Noted<String>()
        func fence(_ name: String) {
            let refusal = other.journal.fence { result in
                guard case .success = result else { return passed.add("\(name) failed") }
                passed.add("\(name) at \(other.books.all.version)")
            }
            #expect(refusal == nil)
        }
        land()
        fence("first")
        #expect(passed.all.isEmpty)
        other.run()
        #expect(other.member.asksFence)
        fence("second")
        fence("third")
        other.member.answerFence()
        one.member.deliver(1)
        one.run()
        land()
        other.run()
        #expect(passed.all.isEmpty)
        other.member.deliver(1)
        other.run()
        #expect(passed.all == ["first at 1"])
        #expect(other.member.asksFence)
        other.member.answerFence()
        other.member.deliver(1)
        other.run()
        #expect(passed.all == ["first at 1", "second at 2", "third at 2"])
        #expect(!other.member.asksFence)
    }

    @Test("a fence that is not answered ends after two seconds; its late answer is dropped")
    func limitsFences() throws {
        let clock = Mutex<UInt64>(5)
        let store = SharedLog.Store()
        let server = try Server(store, now: { Moment(nanoseconds: clock.withLock { $0 }) })
        let outcomes = Noted<String>()
        func fence(_ name: String) {
            let refusal = server.journal.fence { result in
                if case .failure(let error) = result {
                    outcomes.add("\(name) \(error.code)")
                } else {
                    outcomes.add("\(name) passed")
                }
            }
            if let refusal { outcomes.add("\(name) refused: \(refusal.code)") }
        }
        fence("a")
        server.run()
        clock.withLock { $0 += 1_000_000_000 }
        fence("b")
        clock.withLock { $0 += 999_999_999 }
        server.run()
        #expect(outcomes.all.isEmpty)
        clock.withLock { $0 += 1 }
        server.run()
        #expect(outcomes.all == ["a timedOut"])
        server.member.answerFence()
        server.run()
        #expect(outcomes.all == ["a timedOut"] && server.member.asksFence)
        server.member.answerFence()
        server.run()
        #expect(outcomes.all == ["a timedOut", "b passed"])
        fence("c")
        server.journal.stop()
        fence("d")
        #expect(outcomes.all.dropFirst(2) == ["c stopped", "d refused: stopped"])
    }

    @Test("a stop takes all that has come, however much, before it gives up on a group")
    func stopsBehindWhatHasCome() throws {
        let store = SharedLog.Store()
        let (one, other) = (try Server(store), try Server(store))
        let outcomes = Noted<String>()
        for index in 0..<100 {
            one.submit(.put(.node, "n\(index)"), outcomes)
            one.run()
            store.land(one.member)
            one.member.deliver(1)
            one.run()
        }
        let last = Noted<String>()
        other.submit(.put(.node, "last"), last)
        other.run()
        store.land(other.member)
        other.member.deliver(.max)
        other.journal.stop()
        #expect(last.all == [outcomes.all[0]])
        #expect(other.books.all.version == 101)
        one.journal.stop()
    }
}
