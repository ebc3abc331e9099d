import NIOCore
import Synchronization
import TandemAPI

/// Leads where no other process does: carries out the steps of `LeaderElection`.
public struct LeaderElector: Sendable {
    private let client: KubeClient
    private let lease: KubeObjectName
    private let identity: String
    private let timing: LeaderElection.Timing

    /// `identity` must be another one for each process: such as a pod's name with its uid.
    public init(
        _ client: KubeClient, lease: KubeObjectName, identity: String,
        timing: LeaderElection.Timing = LeaderElection.Timing()
    ) {
        self.client = client
        self.lease = lease
        self.identity = identity
        self.timing = timing
    }

    /// Returns when the task is cancelled, having given the lease back, or when the lease is lost. All that is done as the leader must
    /// have stopped before the task is cancelled.
    ///
    /// `onElected` is called once. `onLost` is called once where the lease is lost: from a thread of its own choice, and at the latest
    /// when `timing.giveUp` has passed since the last renewal, whatever else goes on. The process must end there and then: another one leads
    /// some seconds later. Neither may block. `onTrouble` is told of each request that failed.
    public func run(
        onElected: @escaping @Sendable () -> Void, onLost: @escaping @Sendable (_ why: String) -> Void,
        onTrouble: @escaping @Sendable (KubeError) -> Void = { _ in }
    ) async {
        let clock = client.clock
        var election = LeaderElection(lease, identity: identity, timing: timing)
        let timer = DeadlineTimer(client.loop, onLost)
        while !Task.isCancelled {
            let wasLeader = election.isLeader
            switch election.step(now: clock.now(), time: KubeTime.microseconds()) {
            case .wait(let moment): try? await clock.sleep(moment - clock.now())
            case .read:
                do throws(KubeError) {
                    election.read(try await client.get(lease, timeout: timeout(election)), now: clock.now())
                } catch  where error.code == .notFound {
                    election.read(nil, now: clock.now())
                } catch {
                    election.failed(error, now: clock.now())
                    if error.code != .cancelled { onTrouble(error) }
                }
            case .create(let object):
                let collection = KubeCollection(lease.resource, namespace: lease.namespace)
                do throws(KubeError) {
                    election.wrote(
                        try await client.create(object, in: collection, timeout: timeout(election)), now: clock.now())
                } catch {
                    election.failed(error, now: clock.now())
                    if error.code != .cancelled { onTrouble(error) }
                }
            case .replace(let object):
                do throws(KubeError) {
                    election.wrote(
                        try await client.replace(lease, with: object, timeout: timeout(election)), now: clock.now())
                } catch {
                    election.failed(error, now: clock.now())
                    if error.code != .cancelled { onTrouble(error) }
                }
            case .lost(let why): return timer.fire(why)
            }
            if let deadline = election.deadline {
                timer.set(in: deadline - clock.now(), "the lease could not be renewed in time")
                if !wasLeader { onElected() }
            }
        }
        if election.isLeader {
            // This task is cancelled, and that one is not.
            await Task { [election] in await giveBack(election) }.value
        }
        timer.stop()
    }

    /// No request may outlast the time in which one leads.
    private func timeout(_ election: LeaderElection) -> Duration {
        let left = election.deadline.map { $0 - client.clock.now() } ?? timing.requestTimeout
        return max(min(left, timing.requestTimeout), .milliseconds(1))
    }

    /// A renewal that was broken off may still be made meanwhile: then once more.
    private func giveBack(_ election: LeaderElection) async {
        for _ in 0..<3 {
            do throws(KubeError) {
                let found = try await client.get(lease, timeout: timing.requestTimeout)
                guard let object = election.resignation(of: found, time: KubeTime.microseconds()) else { return }
                try await client.replace(lease, with: object, timeout: timing.requestTimeout)
                return
            } catch  where error.code == .conflict {
                continue
            } catch {
                return
            }
        }
    }
}

/// Says once that a moment has passed, from an event loop: independent of the tasks of the process.
private final class DeadlineTimer: Sendable {
    private struct State {
        var scheduled: Scheduled<Void>?
        var isOver = false
    }

    private let loop: any EventLoop
    private let onLost: @Sendable (String) -> Void
    private let state = Mutex(State())

    init(_ loop: any EventLoop, _ onLost: @escaping @Sendable (String) -> Void) {
        self.loop = loop
        self.onLost = onLost
    }

    func set(in duration: Duration, _ why: String) {
        state.withLock { state in
            state.scheduled?.cancel()
            guard !state.isOver else { return }
            state.scheduled = loop.scheduleTask(in: TimeAmount(duration)) { self.fire(why) }
        }
    }

    func fire(_ why: String) {
        let isFirst = state.withLock { state in
            defer { state.isOver = true }
            state.scheduled?.cancel()
            return !state.isOver
        }
        if isFirst { onLost(why) }
    }

    func stop() {
        state.withLock { state in
            state.scheduled?.cancel()
            state.isOver = true
        }
    }
}
