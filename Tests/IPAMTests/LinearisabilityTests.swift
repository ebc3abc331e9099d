import Addressing
import Foundation
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

    @Test("the search finds what has no order")
    func refutes() {
        func operation(_ act: Operation.Act, _ invoked: Int, _ answered: Int, _ outcome: Operation.Outcome) -> Operation
        {
            Operation(act: act, name: 0, invoked: invoked, answered: answered, outcome: outcome)
        }
        let taken = operation(.allocate, 0, 1, .object("a", 1, isReplay: false))
        let stale = operation(.read, 2, 3, .missing)
        #expect(!History([taken, stale], free: ["a"]).hasOrder)
        // At the same time it may be either.
        let concurrent = operation(.read, 0, 3, .missing)
        #expect(History([taken, concurrent], free: ["a"]).hasOrder)
        let twice = Operation(
            act: .allocate, name: 1, invoked: 2, answered: 3, outcome: .object("a", 2, isReplay: false))
        #expect(!History([taken, twice], free: ["a"]).hasOrder)
        #expect(!History([operation(.allocate, 0, 1, .full)], free: ["a"]).hasOrder)
    }
}

/// A call and its answer, with the moments of both on one clock that only counts.
private struct Operation: Sendable, CustomStringConvertible {
    enum Act: Sendable, CaseIterable { case allocate, update, release, read }

    enum Outcome: Sendable, Equatable {
        case object(String, Int, isReplay: Bool)
        case released(String?)
        case missing
        case full
        case other(String)
    }

    var act: Act
    var name: Int
    var invoked: Int
    var answered: Int
    var outcome: Outcome

    var description: String { "\(invoked)-\(answered) \(act) \(name): \(outcome)" }
}

/// Four threads at the engine.
private final class Recorder: Sendable {
    private let engine: Engine
    private let seed: UInt64
    private let clock = Atomic<Int>(0)
    private let operations = Mutex<[Operation]>([])
    /// The addresses that nobody holds at first.
    let free: Set<String>

    init(seed: UInt64) throws {
        self.seed = seed
        let range = CIDR("10.96.0.0/29")!
        engine = try Engine(cluster: ClusterConfiguration(serviceRanges: [range]), store: FaultyLedger())
        var free = Set((1...6).map { "10.96.0.\($0)" })
        for index in 0..<4 {
            guard case .object(let address, _, _) = Self.perform(engine, .allocate, "filler-\(index)", false) else {
                continue
            }
            free.remove(address)
        }
        self.free = free
    }

    func record() -> [Operation] {
        let done = DispatchSemaphore(value: 0)
        for thread in 0..<4 {
            Thread { [self] in
                var generator = SeededGenerator(seed: seed &* 7 &+ UInt64(thread))
                for _ in 0..<8 {
                    let act = Operation.Act.allCases.randomElement(using: &generator)!
                    let name = Int.random(in: 0..<3, using: &generator)
                    // Sequentially consistent: the order of these counts is the order of what is told of it.
                    let invoked = clock.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
                    let outcome = Self.perform(engine, act, "name-\(name)", Bool.random(using: &generator))
                    let answered = clock.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
                    operations.withLock {
                        $0.append(
                            Operation(act: act, name: name, invoked: invoked, answered: answered, outcome: outcome))
                    }
                }
                done.signal()
            }.start()
        }
        for _ in 0..<4 { done.wait() }
        engine.journal.stop()
        return operations.withLock { $0 }
    }

    private static func perform(_ engine: Engine, _ act: Operation.Act, _ name: String, _ flag: Bool)
        -> Operation
        .Outcome
    {
        let metadata = ObjectMeta(namespace: "default", name: name)
        var spec = ServiceSpec()
        let call: Call
        switch act {
        case .allocate: call = Call(.allocateServiceIPs, .allocateServiceIPs(Service(metadata: metadata, spec: spec)))
        case .update:
            spec.type = flag ? "NodePort" : "ClusterIP"
            var ports = JSONReader.ports
            swap(&spec.ports, &ports)
            call = Call(.updateServiceIPs, .updateServiceIPs(Service(metadata: metadata, spec: spec)))
        case .release: call = Call(.release, .release(.service(metadata)))
        case .read: call = Call(.getService, .getService(metadata))
        }
        let answered = DispatchSemaphore(value: 0)
        let answer = Mutex<Result<CallResult, APIError>?>(nil)
        engine.perform(call) { result in
            answer.withLock { $0 = result }
            answered.signal()
        }
        answered.wait()
        return outcome(act, answer.withLock { $0 })
    }

    private static func outcome(_ act: Operation.Act, _ result: Result<CallResult, APIError>?) -> Operation.Outcome {
        switch result {
        case .success(let result):
            guard let json = try? JSONValue(parsing: result.json) else { return .other("no JSON") }
            if act == .release { return .released(json["released"]?.arrayValue?.first?["ip"]?.stringValue) }
            guard let service = json["service"], let address = service["spec"]?["clusterIP"]?.stringValue,
                let version = service["metadata"]?["resourceVersion"]?.stringValue.flatMap({ Int($0) })
            else { return .other(json.text.description) }
            return .object(address, version, isReplay: json["replayed"] == true)
        case .failure(let error) where error.status == .notFound: return .missing
        case .failure(let error) where error.status == .resourceExhausted: return .full
        case .failure(let error): return .other(error.message)
        case nil: return .other("nothing")
        }
    }
}

extension JSONReader {
    fileprivate static var ports: ServicePorts? {
        try? JSONReader.read(Array(#"[{"port":80}]"#.utf8)) { reader throws(JSONError) in
            try ServicePorts(from: &reader)
        }
    }
}

/// The search of Wing and Gong: tries every order that the moments allow against what one call after the other would do,
/// and remembers where it has been.
private struct History {
    private struct Held: Hashable {
        var address: String
        var version: Int
    }

    private struct Place: Hashable {
        var done: UInt64
        var held: [Held?]
    }

    private let operations: [Operation]
    private let free: Set<String>

    init(_ operations: [Operation], free: Set<String>) {
        precondition(operations.count < 64)
        self.operations = operations
        self.free = free
    }

    var hasOrder: Bool {
        var seen: Set<Place> = []
        return hasOrder(from: Place(done: 0, held: [nil, nil, nil]), &seen)
    }

    private func hasOrder(from place: Place, _ seen: inout Set<Place>) -> Bool {
        guard seen.insert(place).inserted else { return false }
        let open = operations.indices.filter { place.done & 1 << UInt64($0) == 0 }
        guard let deadline = open.map({ operations[$0].answered }).min() else { return true }
        for index in open where operations[index].invoked < deadline {
            guard let held = after(operations[index], place) else { continue }
            if hasOrder(from: Place(done: place.done | 1 << UInt64(index), held: held), &seen) { return true }
        }
        return false
    }

    /// "Full" counts what a call at the same time has claimed, and not committed or not given back: addresses that nobody
    /// is seen to hold, and that it will not wait for.
    private func claimsUnderWay(beside operation: Operation, _ place: Place) -> Int {
        operations.indices.count { index in
            let other = operations[index]
            guard other.invoked < operation.answered, operation.invoked < other.answered else { return false }
            let isDone = place.done & 1 << UInt64(index) != 0
            switch other.outcome {
            case .object(_, _, isReplay: false): return other.act == .allocate && !isDone
            case .released(.some): return isDone
            default: return false
            }
        }
    }

    /// What is held after a call whose outcome it must have been; nil where it can't have been.
    private func after(_ operation: Operation, _ place: Place) -> [Held?]? {
        let old = place.held[operation.name]
        var held = place.held
        switch (operation.act, operation.outcome) {
        case (.allocate, .object(let address, let version, let isReplay)):
            let new = Held(address: address, version: version)
            if let old { return isReplay && old == new ? held : nil }
            guard !isReplay, free.contains(address), !held.contains(where: { $0?.address == address }) else {
                return nil
            }
            held[operation.name] = new
        case (.allocate, .full):
            let taken = held.compactMap(\.self).count + claimsUnderWay(beside: operation, place)
            return old == nil && taken >= free.count ? held : nil
        case (.update, .object(let address, let version, _)):
            guard let old, old.address == address, version >= old.version else { return nil }
            held[operation.name] = Held(address: address, version: version)
        case (.update, .missing), (.read, .missing): return old == nil ? held : nil
        case (.read, .object(let address, let version, _)):
            return old == Held(address: address, version: version) ? held : nil
        case (.release, .released(let address)):
            guard old?.address == address else { return nil }
            held[operation.name] = nil
        default: return nil
        }
        return held
    }
}
