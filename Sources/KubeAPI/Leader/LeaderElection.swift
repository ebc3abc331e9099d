public import TandemAPI

/// The leader among several processes, by a lease that one of them holds; without I/O, by one's own clock alone: times of other clocks in the lease
/// count for nothing.
///
/// The caller carries out the step given by `step` and reports its outcome. A leader stops `giveUp` behind its last renewal, and another one begins
/// `duration` behind the last that it saw, which is later.
public struct LeaderElection: Sendable {
    public struct Timing: Sendable, Hashable {
        /// A lease that has not changed for so long is taken over.
        public var duration = Duration.seconds(15)
        /// From renewal to renewal, and from look to look.
        public var interval = Duration.seconds(2)
        /// Without a renewal for so long one leads no more; shorter than `duration`.
        public var giveUp = Duration.seconds(10)
        /// For one request: several fit before one has to give up.
        public var requestTimeout = Duration.seconds(3)

        public init() {}
    }

    public enum Step: Sendable, Hashable {
        case wait(until: Duration)
        /// `GET`, then `read` or `failed`.
        case read
        /// `POST` of the object, then `wrote` or `failed`.
        case create(JSONValue)
        /// `PUT` of the object, then `wrote` or `failed`.
        case replace(JSONValue)
        /// One led and does no more: for good.
        case lost(String)
    }

    private enum Phase: Sendable {
        case follower
        case leader
        case lost(String)
    }

    private let name: KubeObjectName
    private let identity: String
    private let timing: Timing
    private var phase = Phase.follower
    /// The server's state, as far as it is known.
    private var lease: JSONValue?
    /// Since when, by one's own clock, the lease is as it is, or is not there.
    private var seenSince = Duration.zero
    private var isKnown = false
    /// The last write may have been stored, or not.
    private var needsLook = false
    /// There was one: its holder may lead though it is not there any more.
    private var hasSeenLease = false
    private var nextStep = Duration.zero
    /// The time of the request in flight, and its content.
    private var sentAt = Duration.zero
    /// When the last renewal that was successful was sent.
    private var renewedAt = Duration.zero

    /// `identity` must be another one for each process: such as a pod's name with its uid.
    public init(_ name: KubeObjectName, identity: String, timing: Timing = Timing()) {
        self.name = name
        self.identity = identity
        self.timing = timing
    }

    /// Until `deadline`, whatever happens.
    public var isLeader: Bool { if case .leader = phase { true } else { false } }

    /// One must have stopped by then; nil while another one leads.
    public var deadline: Duration? { isLeader ? renewedAt + timing.giveUp : nil }

    /// The next step. `time` is the moment by the time of day, in RFC 3339 with six digits.
    public mutating func step(now: Duration, time: String) -> Step {
        if case .lost(let why) = phase { return .lost(why) }
        if let deadline, now >= deadline {
            return lose("the lease could not be renewed for \(timing.giveUp.components.seconds) s")
        }
        guard now >= nextStep else { return .wait(until: min(nextStep, deadline ?? nextStep)) }
        sentAt = now
        guard isKnown, !needsLook else { return .read }
        guard isLeader || isFree(now: now) else { return .read }
        return lease.map { .replace(object($0, time)) } ?? .create(object(nil, time))
    }

    /// The lease as it is; nil where there is none.
    public mutating func read(_ lease: JSONValue?, now: Duration) {
        if let lease, isLeader, Self.holder(lease) != identity {
            let holder = Self.holder(lease)
            _ = lose(holder.isEmpty ? "the lease was given away" : "\(holder) holds the lease")
            return
        }
        see(lease, now: now)
        nextStep = isLeader || isFree(now: now) ? now : min(now + timing.interval, seenSince + timing.duration)
    }

    private mutating func see(_ lease: JSONValue?, now: Duration) {
        if !isKnown || self.lease?["spec"] != lease?["spec"] { seenSince = now }
        (self.lease, isKnown, needsLook) = (lease, true, false)
        if lease != nil { hasSeenLease = true }
    }

    /// The lease is as it was written: this one holds it.
    public mutating func wrote(_ lease: JSONValue, now: Duration) {
        see(lease, now: now)
        guard now < (isLeader ? renewedAt : sentAt) + timing.giveUp else {
            // Too late to begin with, or to go on: a leader is told so by the next step.
            nextStep = now
            return
        }
        phase = .leader
        // By the moment at which it was sent: others may have seen it from then on.
        renewedAt = sentAt
        nextStep = sentAt + timing.interval
    }

    /// The request in flight failed.
    public mutating func failed(_ error: KubeError, now: Duration) {
        if error.code == .notFound {
            // Another program has deleted it.
            see(nil, now: now)
            nextStep = isLeader ? now : now + timing.interval
            return
        }
        // A write whose outcome is not known is looked for: the lease may be this one's.
        needsLook = true
        nextStep = isLeader && error.code == .conflict ? now : now + (isLeader ? timing.interval / 2 : timing.interval)
    }

    private mutating func lose(_ why: String) -> Step {
        phase = .lost(why)
        return .lost(why)
    }

    // MARK: The lease

    private static func holder(_ lease: JSONValue?) -> String { lease?["spec"]?["holderIdentity"]?.stringValue ?? "" }

    /// Whether no other process leads by it.
    private func isFree(now: Duration) -> Bool {
        if now >= seenSince + timing.duration { return true }
        guard lease != nil else { return !hasSeenLease }
        let holder = Self.holder(lease)
        return holder.isEmpty || holder == identity
    }

    /// The lease to write, over the one that there is.
    private func object(_ old: JSONValue?, _ time: String) -> JSONValue {
        var object: JSONValue =
            old ?? [
                "apiVersion": .string(name.resource.apiVersion), "kind": "Lease",
                "metadata": ["name": .string(name.name), "namespace": .string(name.namespace ?? "default")],
                "spec": [:],
            ]
        let spec = old?["spec"]
        var new = spec?.objectValue == nil ? [:] : spec ?? [:]
        let isMine = Self.holder(old) == identity
        new["holderIdentity"] = .string(identity)
        new["leaseDurationSeconds"] = .number(String(timing.duration.components.seconds))
        if !isMine || new["acquireTime"] == nil { new["acquireTime"] = .string(time) }
        new["renewTime"] = .string(time)
        let transitions = spec?["leaseTransitions"]?.intValue ?? 0
        new["leaseTransitions"] = .number(String(old == nil || isMine ? transitions : transitions + 1))
        object["spec"] = new
        return object
    }

    /// The lease to write so that another process can lead at once; nil where it is not this one's.
    public func resignation(of lease: JSONValue, time: String) -> JSONValue? {
        guard Self.holder(lease) == identity else { return nil }
        var lease = lease
        lease["spec"]?["holderIdentity"] = ""
        lease["spec"]?["renewTime"] = .string(time)
        lease["spec"]?["leaseDurationSeconds"] = 1
        return lease
    }
}
