import Ledger
import Logging
import Measures
import NIOCore
import Synchronization

/// The connections that are open: their number, the order in which they make room, and all of them at the end. Thread-safe; O(1).
///
/// A stranger is a connection whose handshake is not done, or which showed no certificate. Where all places are taken a new
/// connection gets that of the oldest stranger, so that a silent one keeps no other out: not those with a certificate, which are strangers
/// until their handshake is done, nor a probe, which comes, asks and goes.
///
/// A connection with a certificate keeps its place, for as many connections as leave the same number of places for others: one identity alone has
/// half. Connections beyond that give their places up first.
final class Connections: Sendable {
    let metrics = ConnectionMetrics()
    /// Places.
    let maximum: Int
    private let lines: LineLimits
    private let logger: Logger
    private let places = Mutex(Places())
    // Those that have no place any more, or had none, and may be told so. Relaxed: a count that orders nothing.
    private let leaving = Atomic<Int>(0)

    enum Admission {
        /// Counted until it closes.
        case admitted
        /// To be told that there are too many.
        case refused
        /// To be closed at once: too many are being told already.
        case dropped
    }

    /// Past `maximum` a new connection is admitted in the place of a stranger, or not at all.
    init(maximum: Int, _ lines: LineLimits, _ logger: Logger) {
        self.maximum = maximum
        self.lines = lines
        self.logger = logger
    }

    var count: Int { places.withLock { $0.open.count } }

    /// Those in their handshake, and those that showed no certificate.
    var strangers: (inHandshake: Int, others: Int) {
        places.withLock { ($0.handshakes.count, $0.strangers.count) }
    }

    /// Of those that have shown no certificate once their handshake is done.
    var maximumStrangers: Int { max(1, maximum / 4) }

    func admit(_ channel: any Channel) -> Admission {
        let id = ObjectIdentifier(channel)
        let (isAdmitted, evicted) = places.withLock { places in
            let evicted = places.open.count < maximum ? nil : places.takeOldest()
            guard places.open.count < maximum else { return (false, evicted) }
            places.add(channel)
            return (true, evicted)
        }
        metrics.events.add(isAdmitted ? .accepted : .refused)
        guard isAdmitted else { return refuse(channel) }
        if let evicted { evict(evicted) }
        channel.closeFuture.whenComplete { _ in self.places.withLock { $0.remove(id) } }
        return .admitted
    }

    /// The handshake of an admitted one is done.
    ///
    /// Without `hasIdentities` all clients are one identity, and no connection takes another's place.
    func handshakeDone(_ channel: any Channel, _ session: RPCSession, hasIdentities: Bool) {
        let evicted: (any Channel)? = places.withLock { places in
            let isStranger = session.identity == nil
            let evicted = isStranger && places.strangers.count >= maximumStrangers ? places.takeOldestOpen() : nil
            places.handshakeDone(channel, session, keeping: hasIdentities ? maximum : .max)
            return evicted
        }
        if let evicted { evict(evicted) }
    }

    private func refuse(_ channel: any Channel) -> Admission {
        if let line = lines.note("connection refused", .init(channel.remoteAddress)) {
            logger.warning(
                "connections are refused: there are as many as --max-connections and the limit of open files let in",
                metadata: line.metadata(
                    "connections", ["open": "\(maximum)", "peer": "\(RPCSession.text(channel.remoteAddress))"]))
        }
        return mayLeaveSlowly(channel) ? .refused : .dropped
    }

    private func evict(_ channel: any Channel) {
        metrics.evictions.add(0)
        if let line = lines.note("connection evicted", .init(channel.remoteAddress)) {
            logger.info(
                "a connection was closed to make room: it showed no certificate, or its client has more than it leaves places for others",
                metadata: line.metadata("connections", ["peer": "\(RPCSession.text(channel.remoteAddress))"]))
        }
        if mayLeaveSlowly(channel) { channel.close(promise: nil) } else { LingeringClose.cut(channel) }
    }

    /// Whether there is a descriptor for it while it is being told; it is kept until the connection is closed.
    private func mayLeaveSlowly(_ channel: any Channel) -> Bool {
        guard leaving.wrappingAdd(1, ordering: .relaxed).oldValue < OpenFiles.leavingConnections else {
            leaving.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        channel.closeFuture.whenComplete { _ in self.leaving.wrappingSubtract(1, ordering: .relaxed) }
        return true
    }

    /// Closes each connection in an orderly way and waits for all.
    func closeAll() async {
        let channels = places.withLock { $0.open.values.map(\.channel) }
        for channel in channels { channel.close(promise: nil) }
        for channel in channels { try? await channel.closeFuture.get() }
    }
}

/// The connections with a place, and the order in which they may have to give it up.
private struct Places {
    struct Place {
        var channel: any Channel
        /// Of one whose handshake is done and which may have to give its place up.
        var session: RPCSession?
        /// Its identity, where it keeps its place.
        var owner: Flow?
        /// When it joined those that it stands among, by a count.
        var since: UInt64
    }

    private(set) var open: [ObjectIdentifier: Place] = [:]
    private(set) var handshakes = ArrivalOrder<ObjectIdentifier>()
    private(set) var strangers = ArrivalOrder<ObjectIdentifier>()
    /// Those of identities that have more than they leave places for others.
    private(set) var surplus = ArrivalOrder<ObjectIdentifier>()
    /// Connections that keep their places, by identity and in all.
    private var kept: [Flow: Int] = [:]
    private var keptCount = 0
    private var arrivals: UInt64 = 0

    /// Of the oldest, how many are looked at for one that has no call in flight.
    private static let looks = 16

    mutating func add(_ channel: any Channel) {
        arrivals += 1
        open[ObjectIdentifier(channel)] = Place(channel: channel, since: arrivals)
        handshakes.append(ObjectIdentifier(channel))
    }

    mutating func remove(_ id: ObjectIdentifier) {
        let place = open.removeValue(forKey: id)
        if let owner = place?.owner {
            keptCount -= 1
            kept[owner] = kept[owner].flatMap { $0 > 1 ? $0 - 1 : nil }
        }
        handshakes.remove(id)
        strangers.remove(id)
        surplus.remove(id)
    }

    /// One that has lost its place meanwhile is being closed.
    mutating func handshakeDone(_ channel: any Channel, _ session: RPCSession, keeping most: Int) {
        let id = ObjectIdentifier(channel)
        guard handshakes.remove(id) else { return }
        arrivals += 1
        let owner = session.flow.number
        if session.identity != nil, kept[owner, default: 0] < max(1, most - keptCount) {
            kept[owner, default: 0] += 1
            keptCount += 1
            open[id] = Place(channel: channel, owner: owner, since: arrivals)
        } else {
            open[id] = Place(channel: channel, session: session, since: arrivals)
            if session.identity == nil { strangers.append(id) } else { surplus.append(id) }
        }
    }

    /// Takes its place from one that an identity has too many, or else from the stranger that has had it longest, and preferably has no call
    /// in flight; nil where there is none.
    mutating func takeOldest() -> (any Channel)? {
        if let id = oldest(of: surplus) { return take(id) }
        let candidates = [handshakes.first, oldestOpen].compactMap { $0 }
        return take(candidates.min { since($0) < since($1) })
    }

    /// The same among those whose handshake is done.
    mutating func takeOldestOpen() -> (any Channel)? { take(oldestOpen) }

    private func since(_ id: ObjectIdentifier) -> UInt64 { open[id]?.since ?? .max }

    private var oldestOpen: ObjectIdentifier? { oldest(of: strangers) }

    private func oldest(of order: ArrivalOrder<ObjectIdentifier>) -> ObjectIdentifier? {
        var candidate = order.first
        for _ in 0..<Self.looks {
            guard let id = candidate else { break }
            if open[id]?.session?.isIdle ?? true { return id }
            candidate = order.next(after: id)
        }
        return order.first
    }

    private mutating func take(_ id: ObjectIdentifier?) -> (any Channel)? {
        guard let id, let channel = open[id]?.channel else { return nil }
        remove(id)
        return channel
    }
}
