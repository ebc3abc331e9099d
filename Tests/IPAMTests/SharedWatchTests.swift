import EngineSupport
import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Watches of several servers that share one log.
@Suite("Watches of several servers")
struct SharedWatchTests {
    @Test(
        "all servers tell the same, and a watch goes on at another one, which asks the log for the changes that it lacks",
        arguments: seeds)
    func goesOnElsewhere(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let store = SharedLog.Store()
        let members = (0..<3).map { _ in SharedLog.Member(store) }
        let engines = try members.map { log in
            try Engine(cluster: .small, log: log, stepsByHand: true, watchHistoryBytes: 1 << 22)
        }
        func settle(_ index: Int) {
            repeat {
                store.land(members[index])
                members[index].deliver(.max)
                if members[index].asksFence { members[index].answerFence() }
            } while engines[index].step()
        }
        let told = Noted<String>()
        var place: UInt64 = 0
        var events: [String] = []
        for number in 0..<60 {
            let index = Int.random(in: 0..<3, using: &random)
            let name = "s\(Int.random(in: 0..<6, using: &random))"
            let method: TandemAPI.Method = Bool.random(using: &random) ? .allocateServiceIPs : .release
            engines[index].begin(method, ["service": ["metadata": ["name": .string(name)], "spec": [:]]]) { _ in
                told.add("\(number)")
            }
            while told.all.count <= number { settle(index) }
            // The reader is now here, now there; the server that it comes to may not have the changes that the one before told it.
            let next = Int.random(in: 0..<3, using: &random)
            var query = WatchQuery()
            query.version = place
            let starts = Noted<UInt64>()
            let errors = Noted<APIError>()
            engines[next].beginWatch(query, on: nil) { start in
                switch start {
                case .success(let start): starts.add(start.version)
                case .failure(let error): errors.add(error)
                }
            }
            while starts.all.isEmpty, errors.all.isEmpty { settle(next) }
            #expect(errors.all == [])
            #expect(starts.all == [place])
            let end = engines[next].newestChange
            let found = try #require(engines[next].changes(after: place, through: end, for: nil))
            events += found.events.map { String(decoding: $0.text, as: UTF8.self) }
            place = found.through
        }
        for index in 0..<3 { settle(index) }
        let first = try #require(engines[0].changes(after: 0, through: engines[0].newestChange, for: nil)).events
        for engine in engines {
            let same = try #require(engine.changes(after: 0, through: engine.newestChange, for: nil)).events
            #expect(same.map(\.text) == first.map(\.text))
        }
        let all = first.map { String(decoding: $0.text, as: UTF8.self) }
        #expect(events == Array(all.prefix(events.count)))
        #expect(Set(events).count == events.count && events.count > 10)
        var query = WatchQuery()
        query.version = engines[0].newestChange + 1
        let refused = Noted<String>()
        engines[0].beginWatch(query, on: nil) { start in
            if case .failure(let error) = start { refused.add("\(error.status) \(error.reason)") }
        }
        #expect(refused.all == [], "the log is asked first")
        while refused.all.isEmpty { settle(0) }
        #expect(refused.all == ["outOfRange Expired"])
    }
}
