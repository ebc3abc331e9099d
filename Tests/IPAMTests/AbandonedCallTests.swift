import FaultyLog
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Abandoned calls")
struct AbandonedCallTests {
    private final class Client: Asker {
        // Relaxed: it orders nothing.
        private let isGone = Atomic<Bool>(false)
        var hasLeft: Bool { isGone.load(ordering: .relaxed) }
        func leave() { isGone.store(true, ordering: .relaxed) }
    }

    private let answers = Noted<String>()

    private func begin(_ call: Call, _ name: String, for client: Client, _ engine: Engine) {
        engine.perform(call, for: client) { [answers] result in
            switch result {
            case .success(let result):
                let released = (try? JSONValue(parsing: result.json))?["released"]?.arrayValue?.count
                answers.add("\(name): \(released ?? 0) released")
            case .failure(let error): answers.add("\(name): \(error.reason)")
            }
        }
    }

    private let service = Call(
        .allocateServiceIPs,
        .allocateServiceIPs(Service(metadata: ObjectMeta(namespace: "default", name: "web"))))

    private func pod(_ name: String) -> Call {
        let pod = Pod(metadata: ObjectMeta(namespace: "default", name: "web", uid: Written(name)), nodeName: "n1")
        return Call(.allocatePodIPs, .allocatePodIPs(PodRequest(pod: pod)))
    }

    @Test("a call that is not appended yet is dropped with its claims, and the next call has its turn")
    func drops() throws {
        let log = FaultyLog()
        let engine = try Engine(cluster: .small, log: log, stepsByHand: true)
        let (first, second) = (Client(), Client())
        begin(service, "first", for: first, engine)
        begin(service, "second", for: second, engine)
        #expect(engine.poolStatuses().reduce(0) { $0 + $1.allocated } == 1)
        first.leave()
        engine.journal.step()
        #expect(answers.all == ["first: Abandoned"] && log.stored.isEmpty)
        #expect(engine.poolStatuses().reduce(0) { $0 + $1.allocated } == 1, "the second call's claim")
        engine.journal.step()
        #expect(answers.all.last == "second: 0 released" && log.stored.count == 1)
        engine.journal.stop()
    }

    @Test("an appended change is kept, even if its client leaves meanwhile")
    func keeps() throws {
        let client = Client()
        let log = FaultyLog { _ in
            client.leave()
            return nil
        }
        let engine = try Engine(cluster: .small, log: log, stepsByHand: true)
        begin(service, "web", for: client, engine)
        engine.journal.step()
        #expect(answers.all == ["web: 0 released"] && log.stored.count == 1)
        engine.journal.stop()
    }

    @Test(
        "a large release stops between two pieces, leaves no turn behind, and the next one does the rest",
        arguments: [false, true])
    func stopsBetweenPieces(_ ofNode: Bool) throws {
        let log = FaultyLog()
        var cluster = ClusterConfiguration.small
        cluster.podIPReuseDelaySeconds = 0
        let engine = try Engine(cluster: cluster, log: log, stepsByHand: true, recordsPerPiece: 4)
        for index in 0..<8 { begin(pod("u\(index)"), "pod", for: Client(), engine) }
        // One after the other, as they are of one name.
        for _ in 0..<8 { engine.journal.step() }
        let pods = { log.stored.count { $0.kind == .pod } }
        #expect(pods() == 8)
        let release = Call(
            .release,
            .release(
                ofNode
                    ? .node(ObjectMeta(name: "n1"), force: true)
                    : .pod(ObjectMeta(namespace: "default", name: "web"), nodeName: nil)))
        let client = Client()
        begin(release, "release", for: client, engine)
        for _ in 0..<3 { engine.journal.step() }
        let left = pods()
        #expect((1...7).contains(left))
        client.leave()
        for _ in 0..<20 { engine.journal.step() }
        #expect(answers.all.last == "release: Abandoned" && pods() == left)
        begin(release, "again", for: Client(), engine)
        for _ in 0..<20 { engine.journal.step() }
        #expect(answers.all.last == "again: \(2 * left + (ofNode ? 2 : 0)) released" && pods() == 0)
        engine.journal.stop()
        #expect(log.stored.count == (ofNode ? 0 : 1))
    }
}
