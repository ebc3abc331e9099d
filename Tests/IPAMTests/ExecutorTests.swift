import FaultyLog
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Calls that wait go on where their own client's work is done")
struct ExecutorTests {
    /// Closures of one client, run when the test says so.
    private final class Loop: Executor {
        private let waiting = Mutex<[@Sendable () -> Void]>([])

        func execute(_ body: @escaping @Sendable () -> Void) { waiting.withLock { $0.append(body) } }

        func execute(_ bodies: [@Sendable () -> Void]) { waiting.withLock { $0 += bodies } }

        var count: Int { waiting.withLock { $0.count } }

        /// Runs the jobs that have gathered, and none that comes meanwhile.
        func run() {
            let bodies = waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            for body in bodies { body() }
        }
    }

    private func service(_ name: String, _ policy: String) -> Call {
        var service = Service(metadata: ObjectMeta(namespace: "default", name: name))
        service.spec.ipFamilyPolicy = Written(policy)
        return Call(.allocateServiceIPs, .allocateServiceIPs(service))
    }

    @Test(
        "a call that waited for another's commit is decided on its own loop, in order, and no commit of others waits for it"
    )
    func decidesOnLoops() throws {
        let engine = try Engine(cluster: .small, log: FaultyLog(), stepsByHand: true)
        let (first, second) = (Loop(), Loop())
        let answers = Noted<String>()
        func perform(_ call: Call, _ name: String, on loop: Loop) {
            engine.perform(call, on: loop) { result in
                switch result {
                case .success: answers.add(name)
                case .failure(let error): answers.add("\(name): \(error.reason)")
                }
            }
        }
        perform(service("web", "SingleStack"), "creates", on: first)
        perform(service("web", "SingleStack"), "replays", on: second)
        perform(service("web", "RequireDualStack"), "asks for something else", on: first)
        #expect(first.count == 0 && second.count == 0)
        engine.journal.step()
        // The commit leaves the answer to its call's loop, and the calls that wait for it to theirs, one at a time.
        #expect(answers.all == [] && first.count == 1 && second.count == 0)
        first.run()
        #expect(answers.all == ["creates"])
        #expect(first.count == 0 && second.count == 1)
        perform(service("other", "SingleStack"), "other", on: first)
        engine.journal.step()
        #expect(first.count == 1)
        first.run()
        #expect(answers.all == ["creates", "other"])
        second.run()
        #expect(answers.all == ["creates", "other", "replays"])
        #expect(first.count == 1)
        first.run()
        #expect(answers.all.last == "asks for something else: AlreadyExists")
        engine.journal.stop()
    }

    @Test(
        "a call to an engine whose shared log has stopped or failed is answered, though no group ends behind it",
        arguments: [true, false])
    func answersBehindTheEnd(_ hasFailed: Bool) throws {
        let store = SharedLog.Store()
        let member = SharedLog.Member(store)
        let engine = try Engine(cluster: .small, log: member, stepsByHand: true)
        if hasFailed {
            #expect(engine.journal.offer(Proposal(), { _ in false }) == nil)
            engine.step()
            store.forget(member)
            engine.step()
            #expect(engine.fault != nil)
        } else {
            engine.stop()
        }
        let (loop, answers) = (Loop(), Noted<String>())
        engine.perform(service("web", "SingleStack"), on: loop) { result in
            if case .failure(let error) = result { answers.add(error.reason) }
        }
        loop.run()
        #expect(answers.all == ["StorageUnavailable"])
        if hasFailed { engine.stop() }
    }

    @Test("a large release does a piece a turn of its client's loop")
    func releasesByTurns() throws {
        let engine = try Engine(cluster: .small, log: FaultyLog(), stepsByHand: true, recordsPerPiece: 4)
        let loop = Loop()
        for index in 0..<8 {
            let pod = Pod(
                metadata: ObjectMeta(namespace: "default", name: "p", uid: Written("u\(index)")), nodeName: "n1")
            engine.perform(Call(.allocatePodIPs, .allocatePodIPs(PodRequest(pod: pod)))) { _ in }
            engine.journal.step()
        }
        let answers = Noted<Bool>()
        let metadata = ObjectMeta(namespace: "default", name: "p")
        for isDryRun in [true, false] {
            var call = Call(.release, .release(.pod(metadata, nodeName: nil)))
            call.isDryRun = isDryRun
            engine.perform(call, on: loop) { _ in answers.add(isDryRun) }
            var turns = 0
            while answers.all.last != isDryRun {
                engine.journal.step()
                if loop.count > 0 { turns += 1 }
                loop.run()
            }
            // Of kept proposals each verdict comes by the loop as well.
            #expect(turns == (isDryRun ? 7 : 15))
        }
        #expect(engine.books.newestPod(named: metadata) == nil)
        engine.journal.stop()
    }
}
