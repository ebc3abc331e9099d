import Ledger
import NIOCore
import NIOEmbedded
import NIOPosix
import TandemAPI
import TestSupport
import Testing

@testable import TandemServer

@Suite("Buffer budget")
struct BufferBudgetTests {
    private func session(_ budget: BufferBudget) -> RPCSession {
        RPCSession(
            identity: nil, eventLoop: MultiThreadedEventLoopGroup.singleton.any(), peer: nil, budget: budget)
    }

    @Test(
        "connections that threads change at once come to the sum of the bytes that each holds past its own, and to nothing at the end"
    )
    func addsUp() async {
        for seed in seeds {
            let budget = BufferBudget(maximumBytes: 1 << 20)
            var sessions = (0..<3).map { _ in session(budget) }
            let held = await withTaskGroup(of: [Int].self) { [sessions] threads in
                for thread in 0..<4 {
                    threads.addTask {
                        var generator = SeededGenerator(seed: seed &* 4 &+ UInt64(thread))
                        var held = [0, 0, 0]
                        for _ in 0..<20_000 {
                            let index = Int.random(in: 0..<3, using: &generator)
                            // Around the line below which nothing is counted, from both sides.
                            let bytes = Int.random(in: -held[index]...40_000 - held[index], using: &generator)
                            held[index] += bytes
                            sessions[index].hold(bytes)
                        }
                        return held
                    }
                }
                return await threads.reduce(into: [0, 0, 0]) { sum, held in
                    for index in sum.indices { sum[index] += held[index] }
                }
            }
            #expect(budget.heldBytes == held.reduce(0) { $0 + max(0, $1 - BufferBudget.ownBytes) }, "seed \(seed)")
            sessions = []
            #expect(budget.heldBytes == 0, "seed \(seed)")
        }
    }

    @Test("each connection's own bytes are never refused; more are, once the maximum is reached")
    func refuses() {
        let own = BufferBudget.ownBytes
        let budget = BufferBudget(maximumBytes: 1 << 20)
        let holder = session(budget)
        var unfinished = UnfinishedBytes(session(budget))
        #expect(unfinished.note(1 << 30) != nil, "which spends it at once")
        #expect(unfinished.note(own + 1) == nil)
        holder.hold(own + (1 << 20) - 2)
        #expect(budget.heldBytes == (1 << 20) - 1)
        #expect(unfinished.note(own) == nil && budget.refusal(of: 1 << 30, beside: 0) == nil)
        holder.hold(1)
        #expect(unfinished.note(own) == nil)
        let refusal = unfinished.note(own + 1)
        #expect(refusal?.status == .resourceExhausted && refusal?.isRetryable == true)
        holder.release(100)
        #expect(unfinished.note(own + 1) == nil)
    }

    @Test(
        "an identity has as much as it leaves for others, over all its connections; one that is refused holds up no other"
    )
    func sharesAmongIdentities() {
        let (own, half) = (BufferBudget.ownBytes, 8 << 20)
        let budget = BufferBudget(maximumBytes: 2 * half)
        func session(_ flow: ClientFlow) -> RPCSession {
            RPCSession(
                identity: .administrator, eventLoop: MultiThreadedEventLoopGroup.singleton.any(), peer: nil,
                budget: budget, flow: flow)
        }
        let (greedy, modest) = (ClientFlow(Flow(1)), ClientFlow(Flow(2)))
        let holders = [session(greedy), session(greedy)]
        let other = session(modest)
        for holder in holders { holder.hold(own + half / 2 - 1) }
        #expect(holders[0].refusal(of: own + 1) == nil)
        holders[1].hold(2)
        #expect(holders[0].refusal(of: own + 1)?.reason == "TooMuchBuffered")
        #expect(holders[0].refusal(of: own) == nil, "what each connection has to itself")
        #expect(other.refusal(of: 1 << 20) == nil)
        other.hold(own + half / 2)
        #expect(other.refusal(of: own + 1) != nil, "a half of the half that is left")
        #expect(session(ClientFlow(Flow(3))).refusal(of: 1 << 20) == nil)
        holders[1].hold(-half / 4)
        #expect(other.refusal(of: own + 1) == nil && holders[0].refusal(of: own + 1) != nil)
    }

    @Test("a call whose caller gave up is kept, and counts, until the engine is done with it")
    func countsWhoGaveUp() {
        let (own, bytes) = (BufferBudget.ownBytes, 1 << 20)
        let loop = EmbeddedEventLoop()
        let budget = BufferBudget(maximumBytes: 16 << 20)
        let session = RPCSession(identity: nil, eventLoop: loop, peer: nil, budget: budget)
        for isInTime in [true, false] {
            var call = Call(.getPools, .getPools(ListQuery()))
            call.timeoutMilliseconds = 5
            let told = Noted<Bool>()
            // As the service has it: the bytes and the place go with the answer.
            _ = session.enter(1)
            session.hold(bytes)
            let (_, finish) = session.timed(call, of: bytes, isAwaited: true) { result in
                if case .success = result { told.add(true) } else { told.add(false) }
                session.hold(-bytes)
                session.leave()
            }
            if !isInTime { loop.advanceTime(by: .milliseconds(5)) }
            #expect(told.all == (isInTime ? [] : [false]))
            #expect(budget.heldBytes == bytes - own && !session.isIdle)
            finish(.success(.openRPC))
            loop.advanceTime(by: .milliseconds(5))
            #expect(told.all == [isInTime])
            #expect(budget.heldBytes == 0 && session.isIdle)
        }
    }
}
