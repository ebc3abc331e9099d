import IPAM
import NIOCore
import TandemAPI

/// A connection, as its watches know it. On its event loop alone.
protocol WatchOutlet: AnyObject {
    var session: RPCSession { get }
    /// Whether the client has read most of the sent bytes.
    var isWritable: () -> Bool { get }
    func write(_ batch: inout WatchBatch, of name: String)
    /// The watch of that name has ended; with an error where its client is to be told why.
    func ended(_ name: String, _ error: APIError?)
}

/// One watch of one connection. It keeps its place, and none of the changes to send. On its event loop alone.
///
/// While its client reads it is live: its hub brings it new changes. A client that does not take it, or has had its turn, is
/// behind: when it is writable again the watch reads the missed changes itself, from the shared history.
final class Watch: WatchSubscriber {
    private enum State {
        case new(Engine.WatchStart)
        case listing(WatchListing)
        /// All up to the version has been told.
        case behind(UInt64)
        case live
        case ended
    }

    let name: String
    let query: WatchQuery
    private unowned let outlet: any WatchOutlet
    private let hub: WatchHub
    private var state: State
    /// A read of missed changes is in progress.
    private var isPulling = false
    /// Nothing was told since the last look at the clock.
    private var isQuiet = false

    init(
        _ name: String, _ query: WatchQuery, _ start: Engine.WatchStart, _ hub: WatchHub, to outlet: any WatchOutlet
    ) {
        self.name = name
        self.query = query
        self.outlet = outlet
        self.hub = hub
        state = .new(start)
    }

    private var session: RPCSession { outlet.session }

    /// Its answer is on its way.
    func begin() {
        guard case .new(let start) = state else { return }
        switch start {
        case .resumed(let version): state = .behind(version)
        case .listing(let listing): state = .listing(listing)
        }
        pullInTurn()
    }

    // MARK: Live

    /// New changes of a live one. False where they have to be read later: then the watch is behind `version`.
    func deliver(_ batch: inout WatchBatch, behind version: UInt64) -> Bool {
        guard case .live = state else { return true }
        guard outlet.isWritable(), session.lane.hasCredit else {
            state = .behind(version)
            pullInTurn()
            return false
        }
        session.lane.begin()
        send(&batch)
        session.lane.charge()
        return true
    }

    /// The events that the hub goes by are gone, or it can't wait for them.
    func fallBehind(_ version: UInt64) {
        guard case .live = state else { return }
        state = .behind(version)
        pullInTurn()
    }

    private func send(_ batch: inout WatchBatch) {
        isQuiet = false
        hub.metrics.addEvents(batch.count)
        outlet.write(&batch, of: name)
    }

    private func sendBookmark(_ version: UInt64) {
        var bookmark = WatchBatch.bookmark(version)
        send(&bookmark)
    }

    // MARK: Behind

    func becameWritable() { pullInTurn() }

    private func pullInTurn() {
        guard !isPulling, isBehind, outlet.isWritable() else { return }
        isPulling = true
        let bound = NIOLoopBound(self, eventLoop: hub.eventLoop)
        session.lane.execute {
            let watch = bound.value
            watch.isPulling = false
            watch.pull()
            watch.pullInTurn()
        }
    }

    private var isBehind: Bool {
        switch state {
        case .listing, .behind: true
        case .new, .live, .ended: false
        }
    }

    /// A bounded piece of the missed changes.
    private func pull() {
        // Its turn may come when it has ended, and its connection is gone.
        guard isBehind, outlet.isWritable() else { return }
        if case .failure(let stranger) = session.caller { return end(.ended(stranger)) }
        switch state {
        case .listing(var listing):
            var batch = WatchBatch()
            for text in listing.next(of: hub.engine, limit: query.limit) { batch.append(text) }
            state = listing.isAtEnd ? .behind(listing.version) : .listing(listing)
            if batch.count > 0 { send(&batch) }
            if listing.isAtEnd { sendBookmark(listing.version) }
        case .behind(let version):
            hub.catchUp()
            guard
                let (events, through) = hub.engine.changes(
                    after: version, through: hub.seen, upTo: query.limit, for: query)
            else {
                hub.metrics.addExpired()
                return end(.expired(version))
            }
            var (batch, place) = (WatchBatch(), through)
            for event in events {
                batch.append(event.text, version: event.version)
                if batch.isFull {
                    place = event.version
                    break
                }
            }
            if batch.count > 0 { send(&batch) }
            if place == hub.seen {
                state = .live
                hub.join(self)
            } else {
                state = .behind(place)
            }
        case .new, .live, .ended: break
        }
    }

    // MARK: The clock, and the end

    /// Ends it where its client has no identity any more; tells a live one that has been quiet where it is.
    func look() {
        if case .failure(let stranger) = session.caller { return end(.ended(stranger)) }
        if isQuiet, case .live = state, outlet.isWritable() { sendBookmark(hub.seen) }
        isQuiet = true
    }

    /// Tells it all that it takes now, and where that ends. The server leaves. One that has not begun is told nothing: its
    /// answer is still to come.
    func drain() {
        while isBehind, outlet.isWritable() { pull() }
        if case .live = state, outlet.isWritable() { sendBookmark(hub.seen) }
        end(nil)
    }

    func end(_ error: APIError?) {
        if case .ended = state { return }
        state = .ended
        hub.leave(self)
        outlet.ended(name, error)
    }
}

extension APIError {
    fileprivate static func ended(_ stranger: RPCSession.Stranger) -> APIError {
        APIError(.unauthenticated, reason: "Unauthorized", "Watch needs \(stranger)")
    }
}
