import Addressing
import FaultyLog
import Foundation
import Histories
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// The same of two servers that share one log: a call at either looks as if it had happened at one moment, whenever their groups land and
/// their entries arrive.
@Suite("Linearisability of several servers")
struct SharedLinearisabilityTests {
    private static let histories =
        ProcessInfo.processInfo.environment["TANDEM_HISTORIES"].flatMap(Int.init) ?? 100

    @Test("every history of calls at two servers has an order", arguments: seeds)
    func ordersHistories(_ seed: UInt64) throws {
        var refused = 0
        for number in 0..<Self.histories {
            let recorder = try SharedRecorder(seed: seed &+ UInt64(number) &* 0x9e37)
            let history = recorder.record()
            refused += recorder.refusedCount
            #expect(history.count == SharedRecorder.clients * SharedRecorder.callsPerClient)
            #expect(
                History(history, free: recorder.free, hasSeveralServers: true).hasOrder,
                "seed \(seed), history \(number): \(history.map(\.description).joined(separator: "; "))")
        }
        // They are at odds now and then, or nothing is shown.
        #expect(refused > Self.histories / 10)
    }
}

/// Four clients at two servers, in one thread: a seed decides which client goes on, which proposal lands and which message arrives.
///
/// Proof of `@unchecked Sendable`: one thread uses it, and the engines' closures run on its stack.
private final class SharedRecorder: @unchecked Sendable {
    static let clients = 4
    static let callsPerClient = 8

    private var generator: SeededGenerator
    private let store = SharedLog.Store()
    private let members: [SharedLog.Member]
    private let engines: [Engine]
    private var clock = 0
    private var operations: [RecordedCall] = []
    private var left = [Int](repeating: callsPerClient, count: clients)
    private var waits = [Bool](repeating: false, count: clients)
    /// The addresses that are free at first.
    private(set) var free = Set((1...6).map { "10.96.0.\($0)" })

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        let store = store
        members = (0..<2).map { _ in SharedLog.Member(store) }
        let cluster = ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/29")!])
        var seeds = generator
        engines = try members.map { log in
            let random = seeds.next()
            let environment = Environment(
                random: RandomWords(seed: random).next, now: { 0 }, uptime: { 0 })
            return try Engine(cluster: cluster, log: log, environment: environment, stepsByHand: true)
        }
        for index in 0..<4 {
            engines[0].perform(RecordedCall.call(.allocate, "filler-\(index)", false)) { [self] result in
                fillers += 1
                guard case .object(let address, _, _) = RecordedCall.outcome(.allocate, result) else { return }
                free.remove(address)
            }
            while fillers <= index { move() }
        }
    }

    private var fillers = 0

    /// Proposals that one server made and another was first.
    var refusedCount: Int { members[0].refusedCount }

    func record() -> [RecordedCall] {
        while left.contains(where: { $0 > 0 }) || waits.contains(true) {
            let client = Int.random(in: 0..<Self.clients, using: &generator)
            if Bool.random(using: &generator), !waits[client], left[client] > 0 { ask(client) } else { move() }
        }
        for engine in engines { engine.journal.stop() }
        return operations
    }

    private func ask(_ client: Int) {
        let act = RecordedCall.Act.allCases.randomElement(using: &generator)!
        let name = Int.random(in: 0..<3, using: &generator)
        let invoked = tick()
        left[client] -= 1
        waits[client] = true
        let call = RecordedCall.call(act, "name-\(name)", Bool.random(using: &generator))
        engines.randomElement(using: &generator)!.perform(call) { [self] result in
            waits[client] = false
            operations.append(
                RecordedCall(
                    act: act, name: name, invoked: invoked, answered: tick(), outcome: RecordedCall.outcome(act, result)
                ))
        }
    }

    private func tick() -> Int {
        defer { clock += 1 }
        return clock
    }

    /// One server, or the link between it and the other, goes on.
    private func move() {
        let index = Int.random(in: 0..<2, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: store.land(members[index])
        case 1: members[index].deliver(Int.random(in: 1...3, using: &generator))
        case 2: members[index].answerFence()
        default: engines[index].journal.step()
        }
    }
}

/// Proof of `@unchecked Sendable`: one thread uses it.
private final class RandomWords: @unchecked Sendable {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    @Sendable
    func next() -> UInt64 { generator.next() }
}
