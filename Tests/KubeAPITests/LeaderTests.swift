import Glibc
import KubeSupport
import TandemAPI
import TestSupport
import Testing

@testable import KubeAPI

@Suite("Leader election")
struct LeaderTests {
    private static let name = KubeObjectName.lease("tandem", "controller")

    /// A lease as it is stored, with a version that counts its writes.
    private struct Stored {
        var lease: JSONValue?
        var version = 0

        mutating func write(_ object: JSONValue) -> JSONValue {
            version += 1
            var object = object
            object["metadata"]?["resourceVersion"] = .string("\(version)")
            lease = object
            return object
        }

        /// A server's treatment of a request.
        mutating func serve(_ step: LeaderElection.Step) -> Result<JSONValue?, KubeError> {
            switch step {
            case .read: return .success(lease)
            case .create(let object):
                return lease == nil
                    ? .success(write(object)) : .failure(KubeError(.conflict, reason: "AlreadyExists", ""))
            case .replace(let object):
                guard let lease else { return .failure(KubeError(.notFound, "")) }
                return object["metadata"]?["resourceVersion"] == lease["metadata"]?["resourceVersion"]
                    ? .success(write(object)) : .failure(KubeError(.conflict, reason: "Conflict", ""))
            case .wait, .lost: return .success(nil)
            }
        }
    }

    private static func tell(
        _ election: inout LeaderElection, _ step: LeaderElection.Step, _ answer: Result<JSONValue?, KubeError>,
        now: Duration
    ) {
        switch (step, answer) {
        case (.read, .success(let lease)): election.read(lease, now: now)
        case (_, .success(let lease?)): election.wrote(lease, now: now)
        case (_, .failure(let error)): election.failed(error, now: now)
        default: break
        }
    }

    private func election(_ identity: String) -> LeaderElection { LeaderElection(Self.name, identity: identity) }

    /// Goes on until there is nothing more to do at this moment; how many requests that took.
    @discardableResult
    private func go(_ election: inout LeaderElection, _ stored: inout Stored, at now: Duration) -> Int {
        for count in 0..<10 {
            let step = election.step(now: now, time: "T\(now.components.seconds)")
            if case .wait = step { return count }
            if case .lost = step { return count }
            Self.tell(&election, step, stored.serve(step), now: now)
        }
        Issue.record("it never waits")
        return 0
    }

    @Test("the first one makes the lease, and renews it every two seconds")
    func first() {
        var (one, stored) = (election("one"), Stored())
        #expect(go(&one, &stored, at: .seconds(100)) == 2)
        #expect(one.isLeader && one.deadline == .seconds(110))
        let spec = stored.lease?["spec"]
        #expect(spec?["holderIdentity"] == "one" && spec?["leaseDurationSeconds"] == 15)
        #expect(spec?["leaseTransitions"] == 0 && spec?["acquireTime"] == "T100" && spec?["renewTime"] == "T100")
        #expect(
            stored.lease?["apiVersion"] == "coordination.k8s.io/v1"
                && stored.lease?["metadata"]?["name"] == "controller")
        #expect(one.step(now: .seconds(101), time: "") == .wait(until: .seconds(102)))
        #expect(go(&one, &stored, at: .seconds(102)) == 1)
        #expect(stored.lease?["spec"]?["renewTime"] == "T102" && stored.lease?["spec"]?["acquireTime"] == "T100")
        #expect(one.deadline == .seconds(112))
    }

    @Test("another one waits for as long as the lease changes, and 15 s longer, by its own clock")
    func second() {
        var (one, two, stored) = (election("one"), election("two"), Stored())
        go(&one, &stored, at: .seconds(0))
        // Their clocks have nothing in common.
        let start = 5_000
        for second in 0..<20 {
            if second % 2 == 0 { go(&one, &stored, at: .seconds(second)) }
            go(&two, &stored, at: .seconds(start + second))
            #expect(!two.isLeader)
        }
        var seconds = 20
        while !two.isLeader, seconds < 60 {
            go(&two, &stored, at: .seconds(start + seconds))
            seconds += 1
        }
        // Renewed for the last time, and seen, at 18.
        #expect(seconds - 1 == 18 + 15)
        #expect(stored.lease?["spec"]?["leaseTransitions"] == 1)
        #expect(one.step(now: .seconds(28), time: "") == .lost("the lease could not be renewed for 10 s"))
        // For good.
        #expect(one.step(now: .seconds(29), time: "") == .lost("the lease could not be renewed for 10 s"))
        #expect(!one.isLeader)
    }

    @Test("a leader that finds another one's name in the lease is none")
    func overtaken() throws {
        var (one, stored) = (election("one"), Stored())
        go(&one, &stored, at: .zero)
        var lease = try #require(stored.lease)
        lease["spec"]?["holderIdentity"] = "two"
        _ = stored.write(lease)
        // A conflict, and then a look.
        #expect(go(&one, &stored, at: .seconds(2)) == 2)
        #expect(one.step(now: .seconds(2), time: "") == .lost("two holds the lease"))
    }

    @Test("a change of the lease by others that leaves its holder is no loss")
    func annotated() throws {
        var (one, stored) = (election("one"), Stored())
        go(&one, &stored, at: .zero)
        var lease = try #require(stored.lease)
        lease["metadata"]?["annotations"] = ["a": "b"]
        _ = stored.write(lease)
        #expect(go(&one, &stored, at: .seconds(2)) == 3)
        #expect(one.isLeader && one.deadline == .seconds(12))
        #expect(stored.lease?["metadata"]?["annotations"]?["a"] == "b")
    }

    @Test("a renewal whose answer is lost is looked for, and counts from when it was made anew")
    func lostAnswer() {
        var (one, stored) = (election("one"), Stored())
        go(&one, &stored, at: .zero)
        let step = one.step(now: .seconds(2), time: "T2")
        _ = stored.serve(step)
        one.failed(KubeError(.timedOut, "late", mayHaveBeenApplied: true), now: .seconds(5))
        #expect(one.deadline == .seconds(10))
        #expect(one.step(now: .seconds(5), time: "") == .wait(until: .seconds(6)))
        #expect(go(&one, &stored, at: .seconds(6)) == 2)
        #expect(one.deadline == .seconds(16))
    }

    @Test("an answer counts from when its request was sent, and comes too late for a leader whose time is over")
    func lateAnswer() {
        var (one, stored) = (election("one"), Stored())
        go(&one, &stored, at: .zero)
        var step = one.step(now: .seconds(2), time: "T2")
        Self.tell(&one, step, stored.serve(step), now: .seconds(9))
        #expect(one.deadline == .seconds(12))
        step = one.step(now: .seconds(9), time: "T9")
        let answer = stored.serve(step)
        Self.tell(&one, step, answer, now: .seconds(12))
        guard case .lost = one.step(now: .seconds(12), time: "") else {
            Issue.record("it still leads")
            return
        }
    }

    @Test("a process that gets the lease too late begins with a renewal")
    func lateElection() {
        var (one, stored) = (election("one"), Stored())
        Self.tell(&one, one.step(now: .zero, time: ""), .success(nil), now: .zero)
        let step = one.step(now: .zero, time: "")
        Self.tell(&one, step, stored.serve(step), now: .seconds(10))
        #expect(!one.isLeader && one.deadline == nil)
        #expect(go(&one, &stored, at: .seconds(11)) == 1)
        #expect(one.isLeader && one.deadline == .seconds(21))
    }

    @Test(
        "a lease that somebody deletes is made again by its holder, and by others only when the holder must have stopped"
    )
    func deleted() {
        var (one, two, stored) = (election("one"), election("two"), Stored())
        go(&one, &stored, at: .zero)
        go(&two, &stored, at: .zero)
        stored.lease = nil
        for second in 1..<17 {
            go(&two, &stored, at: .seconds(second))
            #expect(!two.isLeader || second >= 16)
        }
        stored.lease = nil
        var (three, other) = (election("three"), Stored())
        go(&three, &other, at: .zero)
        other.lease = nil
        #expect(go(&three, &other, at: .seconds(2)) == 2)
        #expect(three.isLeader && other.lease != nil)
    }

    @Test("a released lease is taken at once")
    func resigns() throws {
        var (one, two, stored) = (election("one"), election("two"), Stored())
        go(&one, &stored, at: .zero)
        go(&two, &stored, at: .zero)
        let lease = try #require(stored.lease)
        #expect(two.resignation(of: lease, time: "T") == nil)
        _ = stored.serve(.replace(try #require(one.resignation(of: lease, time: "T1"))))
        #expect(stored.lease?["spec"]?["holderIdentity"] == "")
        go(&two, &stored, at: .seconds(2))
        #expect(two.isLeader && stored.lease?["spec"]?["leaseTransitions"] == 1)
    }

    @Test(
        "of three with slow, lost and late answers never two lead at once, and one does most of the time",
        arguments: 0..<8)
    func simulated(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        struct Contender {
            var election: LeaderElection
            /// Its clock's lead over the others'.
            var offset: Duration
            var pending: (step: LeaderElection.Step, answer: Result<JSONValue?, KubeError>, at: Duration)?
            var restarts = 0
        }
        var stored = Stored()
        var contenders = (0..<3).map { index in
            Contender(election: election("c\(index)"), offset: .seconds(Int.random(in: 0...10_000, using: &random)))
        }
        var ledMoments = 0
        let moments = 6_000
        for moment in 0..<moments {
            let now = Duration.milliseconds(100 * moment)
            for index in contenders.indices {
                let own = now + contenders[index].offset
                if let pending = contenders[index].pending {
                    guard own >= pending.at else { continue }
                    contenders[index].pending = nil
                    Self.tell(&contenders[index].election, pending.step, pending.answer, now: own)
                    continue
                }
                let step = contenders[index].election.step(now: own, time: "T\(moment)")
                switch step {
                case .wait: continue
                case .lost:
                    contenders[index].restarts += 1
                    contenders[index].election = election("c\(index).\(contenders[index].restarts)")
                default:
                    let fate = Int.random(in: 0..<20, using: &random)
                    // Lost on its way there, on its way back, or slow.
                    let lost = KubeError(.timedOut, "", mayHaveBeenApplied: true)
                    let answer: Result<JSONValue?, KubeError> = fate == 0 ? .failure(lost) : stored.serve(step)
                    let delay = fate < 4 ? Int.random(in: 1...40, using: &random) : 0
                    contenders[index].pending = (
                        step, fate == 1 ? .failure(lost) : answer, own + .milliseconds(100 * delay)
                    )
                }
            }
            // A leader acts until its deadline, whether it has looked at the clock or not.
            let leaders = contenders.filter { contender in
                contender.election.deadline.map { now + contender.offset < $0 } ?? false
            }
            #expect(leaders.count <= 1, "seed \(seed), moment \(moment)")
            ledMoments += leaders.count
        }
        #expect(ledMoments > moments / 2)
    }

    // MARK: Over the wire

    /// Short, for tests: they wait for another lease's end.
    private static let brief = {
        var timing = LeaderElection.Timing()
        timing.duration = .milliseconds(600)
        timing.interval = .milliseconds(20)
        timing.giveUp = .milliseconds(400)
        timing.requestTimeout = .seconds(300)
        return timing
    }()

    private func run(
        _ client: KubeClient, _ identity: String, _ timing: LeaderElection.Timing, _ told: Noted<String>
    ) -> Task<Void, Never> {
        Task {
            await LeaderElector(client, lease: Self.name, identity: identity, timing: timing).run(
                onElected: { told.add("\(identity) leads") }, onLost: { _ in told.add("\(identity) has lost") },
                onTrouble: { told.add("\(identity): \($0.code)") })
            told.add("\(identity) is done")
        }
    }

    @Test("two contend, by leases that the server takes; one that ends gives way at once")
    func contend() async throws {
        let server = try await FakeAPIServer()
        let (client, told) = (KubeClient(try server.configuration), Noted<String>())
        var timing = LeaderElection.Timing()
        // With all the time that a busy machine may need.
        (timing.duration, timing.giveUp, timing.requestTimeout) = (.seconds(600), .seconds(300), .seconds(300))
        timing.interval = .milliseconds(10)
        let one = run(client, "one", timing, told)
        while told.all.isEmpty { await Task.yield() }
        #expect(server.object("leases", "controller", in: "tandem")?["spec"]?["holderIdentity"] == "one")
        let two = run(client, "two", timing, told)
        while server.requests.filter({ $0.method == "GET" }).count < 4 { await Task.yield() }
        one.cancel()
        while told.all.count < 3 { await Task.yield() }
        #expect(Set(told.all) == ["one leads", "one is done", "two leads"])
        two.cancel()
        await two.value
        #expect(server.object("leases", "controller", in: "tandem")?["spec"]?["holderIdentity"] == "")
    }

    @Test(
        "a lease that can't be renewed is lost in time, however the server fails",
        arguments: ["hang", "refuse", "lose"])
    func cannotRenew(kind: String) async throws {
        let server = try await FakeAPIServer()
        let (client, told) = (KubeClient(try server.configuration), Noted<String>())
        let task = run(client, "one", Self.brief, told)
        while told.all.isEmpty { await Task.yield() }
        let effect: FakeFault.Effect =
            switch kind {
            case "hang": .hang
            case "refuse": .refuse(500, reason: "InternalError")
            default: .lose(applied: false)
            }
        server.fail(FakeFault(effect, "PUT", count: .max))
        await task.value
        let ends = told.all.filter { !$0.contains(":") }
        #expect(ends == ["one leads", "one has lost", "one is done"])
    }

    @Test("a leader whose task hangs is told in time all the same")
    func hangs() async throws {
        let server = try await FakeAPIServer()
        let (time, told) = (KubeClock.system, Noted<String>())
        // Of the task's pauses none ends before it is cancelled.
        let (pauses, pause) = AsyncStream<Void>.makeStream()
        defer { pause.finish() }
        let clock = KubeClock(now: time.now) { _ in
            for await _ in pauses {}
            throw CancellationError()
        }
        let task = run(KubeClient(try server.configuration, clock: clock), "one", Self.brief, told)
        while told.all.count < 2 { await Task.yield() }
        #expect(told.all.starts(with: ["one leads", "one has lost"]))
        task.cancel()
        await task.value
    }

    @Test("times in a lease have six digits of a fraction, whatever they are")
    func times() {
        let time = timespec(tv_sec: 1_792_000_000, tv_nsec: 1_000)
        #expect(KubeTime.microseconds(time) == "2026-10-14T17:46:40.000001Z")
        #expect(KubeTime.seconds(time) == "2026-10-14T17:46:40Z")
    }
}
