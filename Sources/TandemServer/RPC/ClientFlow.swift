import Ledger
import NIOCore
import Synchronization

/// All connections of one identity, which together have the share of one: a turn on each event loop, a turn in the journal's queue, a
/// share of the memory for clients. So no
/// identity takes more from the others for having more connections. Thread-safe.
final class ClientFlow: Sendable {
    /// For the journal.
    let number: Flow
    private let key: ClientFlows.Key
    private let flows: ClientFlows?
    /// Of the buffer that all clients share for messages and answers. Relaxed: a count that orders nothing.
    let buffered = Atomic<Int>(0)
    private let lanes = Mutex<[ObjectIdentifier: LoopQueue.Lane]>([:])

    fileprivate init(_ number: Flow, _ key: ClientFlows.Key, of flows: ClientFlows?) {
        (self.number, self.key, self.flows) = (number, key, flows)
    }

    /// Known to no table: of an identity that no other client has.
    convenience init(_ number: Flow = Flow(1)) {
        self.init(number, ClientFlows.Key(nil), of: nil)
    }

    deinit { flows?.forget(key, number) }

    /// Where its work is done on an event loop.
    func lane(on queue: LoopQueue) -> LoopQueue.Lane {
        lanes.withLock { lanes in
            if let lane = lanes[ObjectIdentifier(queue)] { return lane }
            let lane = LoopQueue.Lane(of: queue)
            lanes[ObjectIdentifier(queue)] = lane
            return lane
        }
    }
}

/// The identities that are connected. Thread-safe.
final class ClientFlows: Sendable {
    /// The identity, by any of its certificates. All clients without one are one identity.
    struct Key: Hashable, Sendable {
        var user: String?
        var groups: [String]

        init(_ identity: Identity?) {
            (user, groups) = (identity?.user, identity?.groups ?? [])
        }
    }

    private struct Weak: Sendable {
        weak var flow: ClientFlow?
        var number: Flow
    }

    private struct State {
        var flows: [Key: Weak] = [:]
        var last = Flow.server.number
    }

    private let state = Mutex(State())

    /// That of an identity, for as long as a connection holds it. At the handshake; O(1).
    func flow(of identity: Identity?) -> ClientFlow {
        let key = Key(identity)
        return state.withLock { state in
            if let flow = state.flows[key]?.flow { return flow }
            // By the time that they come round again those of before are gone.
            state.last = state.last == .max ? 1 : state.last + 1
            let flow = ClientFlow(Flow(state.last), key, of: self)
            state.flows[key] = Weak(flow: flow, number: flow.number)
            return flow
        }
    }

    /// Another one may have its place by now.
    fileprivate func forget(_ key: Key, _ number: Flow) {
        state.withLock { state in
            if state.flows[key]?.number == number { state.flows[key] = nil }
        }
    }

    /// For tests.
    var count: Int { state.withLock { $0.flows.count } }
}
