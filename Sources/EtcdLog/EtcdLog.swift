public import EtcdClient
public import Ledger
import Measures
import NIOCore
import NIOPosix
import Synchronization
import TandemAPI

/// A log that several servers share, on etcd: a group of proposals is one value that one small transaction puts under one key, once;
/// etcd's revision is its place. Each server watches the groups and takes them in this order, its own among them.
///
/// No server leads, and etcd compares nothing but a server's own count: which proposals are kept is said by the books, which every
/// server has. A folding server brings the oldest groups into readable keys.
///
/// Calls come as `Log` says; `init`, `load` and `replay` block while they ask etcd, all others do not. etcd's answers and events come on the
/// client's event loop, and wait in `State` until `next` takes it.
public final class EtcdLog: Log {
    public struct Settings: Sendable {
        public var client: EtcdConfiguration
        /// The prefix of all keys: begins with a slash, and does not end with one.
        public var prefix: String
        /// Flags, with their values, that all servers must have the same of.
        public var shared: [String: String]
        /// Makes this server's flags those of all.
        public var acceptsConfiguration = false
        /// This server's address and version: for the list of servers.
        public var address: String
        public var program: String
        /// When it started, RFC 3339.
        public var since = ""
        /// How often etcd's old revisions are dropped at most, in seconds; nil where other users of the same etcd decide it; 0 never.
        public var compactionSeconds: Int?
        /// How long etcd may be silent until this server is not ready.
        public var healthSeconds = 3
        /// How large etcd's database may become, as its own flag says.
        public var quotaBytes: Int64 = 2 << 30
        /// Bytes of entries that may wait for idle moments until they are folded.
        public var maximumBacklogBytes = 64 << 20

        public init(
            _ client: EtcdConfiguration, prefix: String = "/tandem", shared: [String: String] = [:],
            address: String = "", program: String = ""
        ) {
            self.client = client
            self.prefix = prefix
            self.shared = shared
            self.address = address
            self.program = program
        }
    }

    /// Proposals and bytes of one entry: others wait for it behind one round of etcd's.
    static let entryLimits = GroupLimits(proposals: 512, bytes: 256 << 10)
    /// A single proposal, which has an entry of its own past those bytes; etcd takes 1.5 MiB.
    static let maximumEntryBytes = 1 << 20
    /// The limit of events waiting for the journal's thread; more stay with the member.
    static let maximumArrivalBytes = 16 << 20
    /// Places whose digests are known: some seconds' worth.
    static let keptDigests = 65_536

    let settings: Settings
    /// The value of this server's key, for the list of servers.
    let serverRecord: ByteBuffer
    let keys: EtcdKeys
    let client: EtcdClient
    let eventLoop: any EventLoop
    // Relaxed: a hint. Whether far more waits to be folded than should.
    let isFarBehind = Atomic<Bool>(false)
    let state: Mutex<State>
    // Relaxed: a hint, which every change asks for.
    let isNearlyFull = Atomic<Bool>(false)
    /// The times of etcd's answers to fences.
    let fenceTimes = Histogram.times()

    struct State {
        var rouse: @Sendable () -> Void = {}
        var registration: Registration?
        /// All that this process ever had: an entry of one is its own.
        var ownIDs: Set<String> = []
        var isRegistering = false
        /// The revision in which the shared flags were put.
        var configuration: Int64 = 0
        var configurationFault: LedgerError?

        /// Entries and folds that have come: the head's count.
        var place: Int64 = 0
        /// Everything up to it has come.
        var arrived: Int64 = 0
        var arrivals = CircularBuffer<Arrival>()
        var arrivalBytes = 0
        /// The last result of `next`, until it is called again.
        var judging: Arrival?
        var refused: [Int] = []
        /// Everything up to it is judged.
        var handled: Int64 = 0
        /// The newest entry or fold among that.
        var handledPlace: Int64 = 0
        var placeRevision: Int64 = 0
        /// Of the books, behind `handled`.
        var digest: UInt64 = 0
        /// Digests at places before, the newest last, to hold other servers' to.
        var digests = CircularBuffer<(place: Int64, digest: UInt64)>()

        var unfolded = UnfoldedEntries()
        var tidying = Tidying()
        var flight: Flight?
        var fence = Fence.none
        /// The next results of `next`, before all others.
        var notices = CircularBuffer<LogEvent>()

        var watch: EtcdWatch?
        var watchConnection: EtcdConnectionID?
        var isPaused = false
        /// When the watch last said something.
        var heard = NIODeadline.distantPast
        /// Since when etcd has not answered, and how it failed last; nil where it answers.
        var silence: (since: NIODeadline, error: EtcdError)?
        /// A state of etcd at some moment that may not be handled yet.
        var ahead: (since: NIODeadline, revision: Int64)?
        var servers: [String: ByteBuffer] = [:]
        var progress: [String: ProgressMark] = [:]
        var hasDisagreement = false
        var counts = EtcdLogStatistics()
        /// Why nothing comes any more.
        var end: LedgerError?
        var hasToldEnd = false
        var isClosed = false
    }

    enum Fence {
        case none
        /// The store is being asked.
        case asking
        /// Has passed once this revision is handled.
        case waiting(Int64)
    }

    /// Connects, registers the server and makes sure that the flags are those of all. Blocks for some seconds where etcd can't be
    /// reached; then, or where etcd or the other servers' flags refuse this one, it throws an error with a remedy.
    public init(_ settings: Settings) throws(LedgerError) {
        self.settings = settings
        serverRecord = settings.serverRecord
        keys = EtcdKeys(prefix: settings.prefix)
        eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        client = EtcdClient(settings.client, on: eventLoop)
        state = Mutex(State())
        try register()
        try agreeOnConfiguration()
    }

    public var isShared: Bool { true }

    public var groupLimits: GroupLimits {
        isFarBehind.load(ordering: .relaxed) ? Self.farBehindLimits : Self.entryLimits
    }

    public var backlog: Int { state.withLock { $0.unfolded.proposals } }

    public func start(_ rouse: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.rouse = rouse
            state.keepDigest()
        }
        beginWatch()
        beginUpkeep()
    }

    // MARK: The next event

    public func next() -> LogEvent? {
        let (event, foreign) = state.withLock { $0.next() }
        resumeWatch()
        guard let foreign else { return event }
        // Decoded here, out of the lock that the event loop waits for.
        let decoded = foreign.value.withUnsafeReadableBytes { EntryCoding.decode($0) }
        if let decoded { return .foreign(decoded) }
        let error = LedgerError(
            .corrupt, "entry \(foreign.number) of server \(foreign.id) can't be read: is it of a later version?",
            outcome: .unknown)
        return state.withLock { state in
            state.end = error
            state.hasToldEnd = true
            return .ended(error)
        }
    }

    public func noteRefused(_ index: Int) { state.withLock { $0.refused.append(index) } }

    public func noteDigest(_ digest: UInt64) { state.withLock { $0.digest = digest } }

    /// Changes the state, and rouses the journal where `body` says so.
    func change(_ body: (inout State) -> Bool) {
        let rouse = state.withLock { body(&$0) ? $0.rouse : nil }
        rouse?()
    }

    /// Ends everything: a restart reads the log anew.
    func end(_ error: LedgerError) {
        change { state in
            if state.end == nil { state.end = error }
            return true
        }
    }

    public func close() {
        let (lease, watch) = state.withLock { state in
            state.isClosed = true
            return (state.registration?.lease, state.watch)
        }
        watch?.cancel()
        // So that no server waits for this one's progress; where it fails, the lease ends by itself.
        if let lease { _ = try? ask(LeaseRevokeRequest(id: lease), within: .seconds(1)) }
        client.close()
    }
}

extension EtcdLog.State {
    /// And the entry to be decoded, where the event is another server's.
    mutating func next() -> (LogEvent?, ArrivedEntry?) {
        finishJudging()
        if let end {
            guard !hasToldEnd else { return (nil, nil) }
            hasToldEnd = true
            return (.ended(end), nil)
        }
        if let notice = notices.popFirst() { return (notice, nil) }
        if passFence() { return (.fenced, nil) }
        while let arrival = arrivals.popFirst() {
            arrivalBytes -= arrival.bytes
            judging = arrival
            if let entry = arrival.entry {
                if ownIDs.contains(entry.id) { counts.ownEntries += 1 } else { counts.foreignEntries += 1 }
                guard ownIDs.contains(entry.id) else { return (nil, entry) }
                if flight.take()?.id == entry.id { return (.landed, nil) }
                let error = LedgerError(
                    .corrupt, "entry \(entry.number) of this server is in etcd though it was not sent",
                    outcome: .unknown)
                (end, hasToldEnd) = (error, true)
                return (.ended(error), nil)
            }
            finishJudging()
            if arrival.folded != nil { return (.tidied, nil) }
            if passFence() { return (.fenced, nil) }
        }
        return (nil, nil)
    }

    /// Whether it has passed now.
    private mutating func passFence() -> Bool {
        guard case .waiting(let revision) = fence, revision <= handled else { return false }
        fence = .none
        return true
    }

    /// Of the books at the newest place.
    mutating func keepDigest() {
        digests.append((handledPlace, digest))
        if digests.count > EtcdLog.keptDigests { digests.removeFirst() }
    }

    /// The last result is judged by now.
    private mutating func finishJudging() {
        guard let arrival = judging.take() else { return }
        handled = arrival.revision
        if let place = arrival.place {
            (handledPlace, placeRevision) = (place, arrival.revision)
            keepDigest()
        }
        if let entry = arrival.entry {
            unfolded.append(UnfoldedEntries.Entry(arrival.revision, entry, refused: refused))
            counts.refused += UInt64(refused.count)
            refused = []
        }
        if let (mark, revision) = arrival.folded {
            unfolded.fold(mark, revision)
            tidying.isFolding = false
        }
    }
}

extension Arrival {
    /// Of the memory that it takes.
    var bytes: Int { 64 + (entry?.value.readableBytes ?? 0) }
}

extension EtcdLog.Settings {
    fileprivate var serverRecord: ByteBuffer {
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        writer.key("address")
        writer.string(address)
        writer.key("program")
        writer.string(program)
        writer.key("since")
        writer.string(since)
        writer.endObject()
        return ByteBuffer(bytes: writer.bytes)
    }
}
