import Addressing
import FaultyLog
import Foundation
import Histories
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Concurrent calls look as if each had happened at one moment between its request and its answer: histories of threads
/// that allocate, update, release and read few names in a range with two free addresses, each searched for such an order.
@Suite("Linearisability")
struct LinearisabilityTests {
    private static let histories =
        ProcessInfo.processInfo.environment["TANDEM_HISTORIES"].flatMap(Int.init) ?? 200

    @Test("every history of calls that race for a name and a nearly full range has an order", arguments: seeds)
    func ordersHistories(_ seed: UInt64) throws {
        for number in 0..<Self.histories {
            let recorder = try Recorder(seed: seed &+ UInt64(number) &* 0x9e37)
            let history = recorder.record()
            #expect(
                History(history, free: recorder.free).hasOrder,
                "seed \(seed), history \(number): \(history.map(\.description).joined(separator: "; "))")
        }
    }

    @Test("the search finds histories without an order")
    func refutes() {
        func operation(_ act: RecordedCall.Act, _ invoked: Int, _ answered: Int, _ outcome: RecordedCall.Outcome)
            -> RecordedCall
        {
            RecordedCall(act: act, name: 0, invoked: invoked, answered: answered, outcome: outcome)
        }
        let taken = operation(.allocate, 0, 1, .object("a", 1, isReplay: false))
        let stale = operation(.read, 2, 3, .missing)
        #expect(!History([taken, stale], free: ["a"]).hasOrder)
        // At the same time it may be either.
        let concurrent = operation(.read, 0, 3, .missing)
        #expect(History([taken, concurrent], free: ["a"]).hasOrder)
        let twice = RecordedCall(
            act: .allocate, name: 1, invoked: 2, answered: 3, outcome: .object("a", 2, isReplay: false))
        #expect(!History([taken, twice], free: ["a"]).hasOrder)
        #expect(!History([operation(.allocate, 0, 1, .full)], free: ["a"]).hasOrder)
    }

    @Test("a call without an answer may have taken effect, once and not before it was made")
    func unanswered() {
        func operation(_ act: RecordedCall.Act, _ invoked: Int, _ answered: Int, _ outcome: RecordedCall.Outcome)
            -> RecordedCall
        {
            RecordedCall(act: act, name: 0, invoked: invoked, answered: answered, outcome: outcome)
        }
        func hasOrder(_ operations: [RecordedCall]) -> Bool { History(operations, free: nil).hasOrder }
        let asked = operation(.allocate, 0, 0, .unknown)
        let replay = operation(.allocate, 1, 2, .object("a", 1, isReplay: true))
        #expect(hasOrder([asked, replay]))
        #expect(!hasOrder([replay]))
        #expect(hasOrder([asked, operation(.read, 1, 2, .missing)]))
        // It was made later, or another was given back meanwhile.
        #expect(!hasOrder([operation(.allocate, 3, 0, .unknown), replay]))
        let gone = operation(.release, 3, 4, .released("a"))
        #expect(hasOrder([asked, replay, gone, operation(.read, 5, 6, .missing)]))
        #expect(!hasOrder([asked, replay, gone, operation(.read, 5, 6, .object("b", 3, isReplay: false))]))
        let late = operation(.allocate, 1, 0, .unknown)
        #expect(hasOrder([asked, replay, gone, late, operation(.read, 5, 6, .object("b", 3, isReplay: false))]))
        // An update makes the version another, and leaves the address.
        let update = operation(.update, 3, 0, .unknown)
        #expect(hasOrder([asked, replay, update, operation(.read, 4, 5, .object("a", 2, isReplay: false))]))
        #expect(!hasOrder([asked, replay, operation(.read, 4, 5, .object("a", 2, isReplay: false))]))
        #expect(!hasOrder([asked, replay, update, operation(.read, 4, 5, .object("b", 2, isReplay: false))]))
        // A read that goes back in time.
        #expect(
            !hasOrder([
                asked, replay, update, operation(.read, 4, 5, .object("a", 2, isReplay: false)),
                operation(.read, 6, 7, .object("a", 1, isReplay: false)),
            ]))
        let removal = operation(.release, 3, 0, .unknown)
        #expect(hasOrder([asked, replay, removal, operation(.read, 4, 5, .missing)]))
        #expect(hasOrder([asked, replay, removal, operation(.read, 4, 5, .object("a", 1, isReplay: false))]))
    }
}

/// Four threads at the engine.
private final class Recorder: Sendable {
    private let engine: Engine
    private let seed: UInt64
    private let clock = Atomic<Int>(0)
    private let operations = Mutex<[RecordedCall]>([])
    /// The addresses that are free at first.
    let free: Set<String>

    init(seed: UInt64) throws {
        self.seed = seed
        let range = CIDR("10.96.0.0/29")!
        engine = try Engine(cluster: ClusterConfiguration(serviceRanges: [range]), log: FaultyLog())
        var free = Set((1...6).map { "10.96.0.\($0)" })
        for index in 0..<4 {
            guard case .object(let address, _, _) = Self.perform(engine, .allocate, "filler-\(index)", false) else {
                continue
            }
            free.remove(address)
        }
        self.free = free
    }

    func record() -> [RecordedCall] {
        let done = DispatchSemaphore(value: 0)
        for thread in 0..<4 {
            Thread { [self] in
                var generator = SeededGenerator(seed: seed &* 7 &+ UInt64(thread))
                for _ in 0..<8 {
                    let act = RecordedCall.Act.allCases.randomElement(using: &generator)!
                    let name = Int.random(in: 0..<3, using: &generator)
                    // Sequentially consistent: the order of these counts is the order of the recorded events.
                    let invoked = clock.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
                    let outcome = Self.perform(engine, act, "name-\(name)", Bool.random(using: &generator))
                    let answered = clock.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
                    operations.withLock {
                        $0.append(
                            RecordedCall(act: act, name: name, invoked: invoked, answered: answered, outcome: outcome))
                    }
                }
                done.signal()
            }.start()
        }
        for _ in 0..<4 { done.wait() }
        engine.journal.stop()
        return operations.withLock { $0 }
    }

    private static func perform(
        _ engine: Engine, _ act: RecordedCall.Act, _ name: String, _ flag: Bool
    ) -> RecordedCall.Outcome {
        let answered = DispatchSemaphore(value: 0)
        let answer = Mutex<Result<CallResult, APIError>?>(nil)
        engine.perform(RecordedCall.call(act, name, flag)) { result in
            answer.withLock { $0 = result }
            answered.signal()
        }
        answered.wait()
        return RecordedCall.outcome(act, answer.withLock { $0 })
    }
}
