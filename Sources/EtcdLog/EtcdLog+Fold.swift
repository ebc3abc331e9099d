import EtcdClient
public import Ledger
import NIOCore
import Synchronization

extension EtcdLog {
    /// Proposals that may wait for idle moments; of bytes as many as the settings say.
    static let maximumBacklog = 65_536
    /// From so many times as much on groups are small, until folding has caught up: each server keeps the entries that are not folded.
    private static let farBehind = 4.0
    static let farBehindLimits = GroupLimits(proposals: 64, bytes: 32 << 10)
    /// How long nothing must have been appended for that: reads alone may come without a pause.
    private static let idleTime = TimeAmount.milliseconds(200)
    /// Shares of the quota from which nothing is added, and from which nothing but folds is put.
    static let nearlyFullShare = 0.75
    static let fullShare = 0.9
    static let roomCure =
        "compact etcd, defragment each member (`etcdctl defrag`), or raise the members' --quota-backend-bytes and these servers' "
        + "--etcd-quota-backend-bytes"
    /// Objects of one fold, and bytes of the entries that it takes, the last of which may pass it: with keys and the rest less than the
    /// 1.5 MiB that etcd takes in one request.
    private static let foldObjects = 3_000
    private static let foldBytes = 896 << 10
    /// Operations in one of a fold's inner transactions, of which there are at most as many: etcd takes 128 on a path.
    private static let foldOperations = 60
    /// Bytes that are folded until old revisions are worth dropping.
    private static let compactionBytes = 64 << 20
    /// Revisions younger than this stay: a watch may be that late.
    private static let compactionSeconds: Int64 = 30

    public func maintain(isIdle: Bool) throws(LedgerError) -> Bool {
        let oldest = state.withLock { state -> (mark: FoldedMark, entries: [UnfoldedEntries.Entry])? in
            isFarBehind.store(weight(of: state.unfolded) > Self.farBehind, ordering: .relaxed)
            if isIdle || state.flight == nil && .now() - state.tidying.appended > Self.idleTime {
                state.tidying.isIdle = true
            }
            guard let revision = foldableRevision(&state) else { return nil }
            state.tidying.isFolding = true
            var bytes = 0
            let entries = state.unfolded.entries.prefix { entry in
                defer { bytes += entry.value.readableBytes }
                return entry.revision <= revision && bytes < Self.foldBytes
            }
            return (state.unfolded.mark, Array(entries.prefix(Self.foldObjects)))
        }
        // Its end comes as `.tidied`.
        if let oldest {
            let (step, entries) = collect(oldest.entries, behind: oldest.mark)
            fold(step, entries)
        }
        return false
    }

    /// Up to where this server may fold now; nil where it has nothing to fold, or should not.
    private func foldableRevision(_ state: inout State) -> Int64? {
        guard !state.tidying.isFolding, let registration = state.registration,
            let oldest = state.unfolded.entries.first, !state.hasDisagreement, state.end == nil
        else { return nil }
        let revision = agreedRevision(state)
        guard oldest.revision <= revision else { return nil }
        let weight = weight(of: state.unfolded)
        // Any ready server folds where the one that should does not.
        if weight > 2 {
            let since = state.tidying.overdueSince ?? .now()
            state.tidying.overdueSince = since
            if .now() - since > .seconds(30) { return revision }
        } else {
            state.tidying.overdueSince = nil
        }
        let isFirst = state.servers.keys.allSatisfy { $0 >= registration.id }
        return isFirst && (state.tidying.isIdle || weight > 1) ? revision : nil
    }

    /// 1 where as much waits as may wait for idle moments.
    private func weight(of unfolded: UnfoldedEntries) -> Double {
        max(
            Double(unfolded.proposals) / Double(Self.maximumBacklog),
            Double(unfolded.bytes) / Double(settings.maximumBacklogBytes))
    }

    /// Up to where all servers that are there have come, with the same books.
    private func agreedRevision(_ state: State) -> Int64 {
        var revision = state.handled
        for id in state.servers.keys where !state.ownIDs.contains(id) {
            guard let mark = state.progress[id], state.agrees(with: mark) ?? true else { return 0 }
            revision = min(revision, mark.revision)
        }
        return revision
    }

    /// As many of the entries as go into one fold, and the states that they make of their objects.
    private func collect(
        _ oldest: [UnfoldedEntries.Entry], behind mark: FoldedMark
    ) -> (step: FoldStep, entries: [UnfoldedEntries.Entry]) {
        var step = FoldStep(version: mark.version)
        var entries: [UnfoldedEntries.Entry] = []
        for entry in oldest where step.count < Self.foldObjects {
            let proposals = entry.judged
            // An inner transaction for each sixty changes and removals.
            let operations = entries.count + step.count + proposals.reduce(1) { $0 + $1.proposal.changes.count }
            guard operations <= Self.foldOperations * Self.foldOperations || entries.isEmpty else { break }
            for (proposal, isKept) in proposals where isKept { step.add(proposal) }
            entries.append(entry)
        }
        return (step, entries)
    }

    private func fold(_ step: FoldStep, _ entries: [UnfoldedEntries.Entry]) {
        let records = step.records
        // Facts in a node's row and not in its change: its creation, and whether it is being released.
        let stays = records.filter { $0.key.kind == .node && !$0.row.isReplaced }.map(\.key)
        guard !stays.isEmpty else { return fold(records, version: step.version, entries, [:]) }
        let request = TxnRequest(success: Self.parts(stays.map { .range(RangeRequest(keys.object($0))) }))
        client.call(request, deadline: .now() + .seconds(5)) { result in
            guard case .success(let response) = result else { return self.endFold() }
            let answers = response.responses.flatMap(\.parts)
            var nodes: [ObjectKey: StoredRecord] = [:]
            for (key, answer) in zip(stays, answers) {
                nodes[key] = answer.onlyKeyValue.flatMap { StoredRecord(key, tableValue: $0.value) }
            }
            self.fold(records, version: step.version, entries, nodes)
        }
    }

    private func fold(
        _ records: [(key: ObjectKey, row: FoldStep.Row)], version: UInt64, _ entries: [UnfoldedEntries.Entry],
        _ nodes: [ObjectKey: StoredRecord]
    ) {
        guard let last = entries.last else { return endFold() }
        var operations: [RequestOperation] = []
        for (key, row) in records {
            let name = keys.object(key)
            let before = nodes[key]
            if let content = row.content {
                let record = StoredRecord(
                    key: key, version: content.version, created: before?.created ?? content.created,
                    isReleasing: row.isReleasing || before?.isReleasing == true, form: content.form)
                operations.append(.put(PutRequest(name, record.tableValue)))
            } else if row.marksStored {
                guard var record = before else { continue }
                record.isReleasing = true
                operations.append(.put(PutRequest(name, record.tableValue)))
            } else {
                operations.append(.delete(DeleteRangeRequest(name)))
            }
        }
        for entry in entries { operations.append(.delete(DeleteRangeRequest(keys.entry(entry.id, entry.number)))) }
        let mark = FoldedMark(revision: last.revision, version: version)
        let known = state.withLock { $0.unfolded.markRevision }
        let marks: [RequestOperation] = [
            .put(PutRequest(keys.folded, mark.bytes)), .put(PutRequest(keys.head, ByteBuffer())),
        ]
        let request = TxnRequest(
            compare: [Compare(keys.folded, .modRevision(known))],
            success: Self.parts(operations) + Self.parts(marks))
        let bytes = entries.reduce(0) { $0 + $1.value.readableBytes }
        client.call(request, deadline: .now() + .seconds(5)) { result in
            // Where another server was first, or the outcome is unknown, the watch tells.
            guard case .success(let response) = result, response.isSucceeded else { return self.endFold() }
            // The next one begins once the watch has brought this one.
            self.state.withLock { $0.tidying.foldedBytes += bytes }
            self.compact()
        }
    }

    /// As transactions within one, since each level takes 128 operations at most.
    private static func parts(_ operations: [RequestOperation]) -> [RequestOperation] {
        stride(from: 0, to: operations.count, by: foldOperations).map { start in
            .txn(TxnRequest(success: Array(operations[start..<min(start + foldOperations, operations.count)])))
        }
    }

    /// Of a fold that came to nothing, or may have: the next one waits for a moment.
    private func endFold() {
        after(.milliseconds(500)) { log in
            log.change { state in
                state.tidying.isFolding = false
                state.notices.append(.tidied)
                return true
            }
        }
    }

    // MARK: Room

    func askStatus() {
        client.call(StatusRequest(), deadline: .now() + .seconds(3)) { result in
            guard case .success(let status) = result else { return }
            let use: Double = self.state.withLock { state in
                state.tidying.databaseBytes = status.databaseBytes
                return state.tidying.use(of: self.settings.quotaBytes)
            }
            self.isNearlyFull.store(use >= Self.nearlyFullShare, ordering: .relaxed)
        }
    }

    public var additionRefusal: LedgerError? {
        guard isNearlyFull.load(ordering: .relaxed) else { return nil }
        let use = state.withLock { self.fullness($0) }
        return LedgerError(
            .nearlyFull, "\(use): nothing is given out any more, and releases are taken; \(Self.roomCure)")
    }

    /// In words.
    func fullness(_ state: State) -> String {
        "etcd's database has \(state.tidying.databaseBytes) bytes of its quota of \(settings.quotaBytes)"
    }

    /// Drops etcd's old revisions, where it is this program's alone or its flag says so.
    private func compact() {
        let revision: Int64? = state.withLock { state in
            guard !state.tidying.isCompacting, state.tidying.foldedBytes > Self.compactionBytes,
                settings.compactionSeconds != 0
            else { return nil }
            state.tidying.isCompacting = true
            state.tidying.foldedBytes = 0
            var revision = state.handled
            for id in state.servers.keys where !state.ownIDs.contains(id) {
                revision = min(revision, state.progress[id]?.revision ?? 0)
            }
            return revision
        }
        // Another one is under way, or not due.
        guard let revision else { return }
        mayCompact { may in
            guard may, revision > 0 else { return self.endCompaction() }
            let seconds = Int64(self.settings.compactionSeconds ?? 0)
            self.after(.seconds(max(Self.compactionSeconds, seconds))) { log in
                log.client.call(CompactionRequest(revision: revision), deadline: .now() + .seconds(5)) { _ in
                    log.endCompaction()
                }
            }
        }
    }

    private func endCompaction() { state.withLock { $0.tidying.isCompacting = false } }

    /// A compaction is of the whole etcd, other users' history with it: a key outside of the prefix says that there are some. Asked each
    /// time, as they may come later.
    func mayCompact(_ done: @escaping @Sendable (Bool) -> Void) {
        if settings.compactionSeconds != nil { return done(true) }
        let everything = KeyRange(start: ByteBuffer(bytes: [0]), end: ByteBuffer(bytes: [0]))
        var end = ByteBuffer(string: settings.prefix)
        end.writeString("0")
        let request = TxnRequest(success: [
            .range(
                RangeRequest(
                    everything.start, to: ByteBuffer(string: "\(settings.prefix)/"), limit: 1, isKeysOnly: true)),
            .range(RangeRequest(end, to: everything.end, limit: 1, isKeysOnly: true)),
        ])
        client.call(request, deadline: .now() + .seconds(5)) { result in
            guard case .success(let response) = result else { return done(false) }
            let isAlone = response.responses.allSatisfy { response in
                if case .range(let range) = response { range.keyValues.isEmpty } else { false }
            }
            done(isAlone)
        }
    }

    // MARK: Progress

    func publishProgress() {
        let put: PutRequest? = state.withLock { state in
            state.compareBooks()
            guard let registration = state.registration, let (place, digest) = state.digests.last,
                state.progress[registration.id]?.place != place
            else { return nil }
            let mark = ProgressMark(revision: state.placeRevision, place: place, digest: digest)
            return PutRequest(keys.progress(registration.id), mark.bytes, lease: registration.lease)
        }
        if let put { client.call(put, deadline: .now() + .seconds(2)) { _ in } }
    }
}

extension EtcdLog.State {
    /// Whether a server's books are this one's, at the place up to which it had come; nil where this one has not been there, or no
    /// longer knows.
    func agrees(with mark: ProgressMark) -> Bool? {
        guard let first = digests.first?.place, mark.place >= first, mark.place - first < digests.count else {
            return nil
        }
        return digests[offset: Int(mark.place - first)].digest == mark.digest
    }

    /// Where servers differ none folds: fewer of one kind end, and where neither is more, none is ready.
    mutating func compareBooks() {
        let verdicts = servers.keys.filter { !ownIDs.contains($0) }.compactMap { progress[$0] }.compactMap(agrees)
        let different = verdicts.count { !$0 }
        let same = verdicts.count - different + 1
        hasDisagreement = different > 0
        if different > same, end == nil {
            end = LedgerError(
                .corrupt,
                "this server's books differ from those of \(different) others that applied the same: start it again",
                outcome: .unknown)
        }
    }
}
