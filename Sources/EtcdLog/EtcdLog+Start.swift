import Dispatch
import EtcdClient
public import Ledger
import NIOCore
import Synchronization
import TandemAPI

/// A start: flags are compared, the tables read as of one revision, then the entries behind them.
extension EtcdLog {
    /// Keys of one page of a table.
    private static let pageSize: Int64 = 4_096
    /// Pages that are asked for side by side.
    private static let pagesAtOnce = 4

    // MARK: Flags

    func agreeOnConfiguration() throws(LedgerError) {
        let own = settings.configurationRecord
        let response = try askPersistently(
            TxnRequest(
                compare: [Compare(keys.configuration, .createRevision(0))],
                success: [.put(PutRequest(keys.configuration, own))],
                failure: [.range(RangeRequest(keys.configuration))]))
        if response.isSucceeded { return state.withLock { $0.configuration = response.header.revision } }
        guard let stored = response.responses.first?.onlyKeyValue else {
            throw LedgerError(.corrupt, "etcd's answer has neither a new configuration nor the present one")
        }
        guard let difference = difference(from: stored.value) else {
            return state.withLock { $0.configuration = stored.modRevision }
        }
        guard settings.acceptsConfiguration else {
            throw LedgerError(
                .configurationChanged,
                "\(difference); all servers need the same, or --etcd-accept-configuration with one of them, whose flags are then "
                    + "those of all")
        }
        let change = try askPersistently(
            TxnRequest(
                compare: [Compare(keys.configuration, .modRevision(stored.modRevision))],
                success: [.put(PutRequest(keys.configuration, own))]))
        guard change.isSucceeded else {
            throw LedgerError(.configurationChanged, "another server changed the flags at the same time: start again")
        }
        state.withLock { $0.configuration = change.header.revision }
    }

    /// The first flag that differs, in words; nil where none does.
    func difference(from stored: ByteBuffer) -> String? {
        guard let json = try? JSONValue(parsing: Array(stored.readableBytesView)), let flags = json["flags"] else {
            return "the configuration in etcd can't be read"
        }
        guard json["format"]?.intValue == Int(EntryCoding.format) else {
            return "the entries in etcd are of another format than this program's"
        }
        for (name, value) in settings.shared.sorted(by: { $0.key < $1.key }) {
            let other = flags[name]?.stringValue ?? ""
            if other != value { return "the other servers have --\(name)=\(other), this one has --\(name)=\(value)" }
        }
        return nil
    }

    // MARK: Tables

    public func load(_ body: @Sendable (StoredObject) throws -> Void) throws -> UInt64 {
        let head = try askPersistently(
            TxnRequest(success: [.range(RangeRequest(keys.head)), .range(RangeRequest(keys.folded))]))
        let found = head.responses.map(\.onlyKeyValue)
        guard found.count == 2 else { throw LedgerError(.corrupt, "etcd does not say how far the journal is") }
        var mark = FoldedMark()
        if let folded = found[1] {
            guard let read = FoldedMark(folded.value) else {
                throw LedgerError(.corrupt, "the key journal/folded can't be read")
            }
            mark = read
        }
        let revision = head.header.revision
        try readServers(at: revision)
        for kind in RecordKind.allCases { try load(kind, at: revision, body) }
        state.withLock { state in
            state.unfolded.fold(mark, found[1]?.modRevision ?? 0)
            state.place = found[0]?.version ?? 0
            (state.arrived, state.handled) = (revision, revision)
            (state.handledPlace, state.placeRevision) = (state.place, revision)
        }
        return mark.version
    }

    /// Those that were there before this one.
    private func readServers(at revision: Int64) throws {
        try visit(keys.servers, at: revision) { keyValue in
            guard let id = keys.name(of: keyValue.key, in: keys.servers) else { return }
            state.withLock { $0.servers[id] = keyValue.value }
        }
        try visit(keys.progressMarks, at: revision) { keyValue in
            guard let id = keys.name(of: keyValue.key, in: keys.progressMarks) else { return }
            state.withLock { $0.progress[id] = ProgressMark(keyValue.value) }
        }
    }

    private func load(
        _ kind: RecordKind, at revision: Int64, _ body: @Sendable (StoredObject) throws -> Void
    ) throws {
        let ranges = keys.table(kind)
        for start in stride(from: 0, to: ranges.count, by: Self.pagesAtOnce) {
            let batch = Array(ranges[start..<min(start + Self.pagesAtOnce, ranges.count)])
            let fault = Mutex<(any Error)?>(nil)
            DispatchQueue.concurrentPerform(iterations: batch.count) { index in
                do {
                    try visit(kind, batch[index], at: revision) { try $0.lend(to: body) }
                } catch {
                    fault.withLock { $0 = $0 ?? error }
                }
            }
            if let fault = fault.withLock({ $0 }) { throw fault }
        }
    }

    /// The objects of one range of a table, as of a revision; a page of them at a time. Blocks.
    func visit(
        _ kind: RecordKind, _ range: KeyRange, at revision: Int64, _ body: (StoredRecord) throws -> Void
    ) throws {
        try visit(range, at: revision) { keyValue in
            guard let key = keys.name(of: keyValue.key, in: range),
                let record = StoredRecord(ObjectKey(kind, key), tableValue: keyValue.value)
            else {
                throw LedgerError(.corrupt, "the key \(String(buffer: keyValue.key)) in etcd can't be read")
            }
            try body(record)
        }
    }

    /// All keys of a range, page by page; of large objects fewer go into one.
    private func visit(_ range: KeyRange, at revision: Int64, _ body: (KeyValue) throws -> Void) throws {
        var start = range.start
        var limit = Self.pageSize
        while true {
            let request = RangeRequest(start, to: range.end, limit: limit, revision: revision)
            let answer = Result { () throws(LedgerError) in try askPersistently(request) }
            if case .failure(let error) = answer, error.code == .tooLarge, limit > 1 {
                limit /= 8
                continue
            }
            let page = try answer.get()
            for keyValue in page.keyValues { try body(keyValue) }
            guard page.hasMore, let last = page.keyValues.last else { return }
            start = last.key
            start.writeInteger(0 as UInt8)
        }
    }

    // MARK: Entries behind them

    public func replay(_ body: (Proposal) throws -> Bool) throws {
        let (revision, mark) = state.withLock { ($0.arrived, $0.unfolded.mark) }
        var entries: [(revision: Int64, entry: ArrivedEntry)] = []
        try visit(keys.entries, at: revision) { keyValue in
            guard keyValue.modRevision > mark.revision, let entry = ArrivedEntry(keyValue, keys) else {
                throw LedgerError(.corrupt, "the key \(String(buffer: keyValue.key)) in etcd should not be there")
            }
            entries.append((keyValue.modRevision, entry))
        }
        entries.sort { $0.revision < $1.revision }
        for (revision, entry) in entries {
            guard let proposals = entry.value.withUnsafeReadableBytes({ EntryCoding.decode($0) }) else {
                throw LedgerError(.corrupt, "entry \(entry.number) of server \(entry.id) in etcd can't be read")
            }
            var refused: [Int] = []
            for (index, proposal) in proposals.enumerated() where try !body(proposal) { refused.append(index) }
            state.withLock { $0.unfolded.append(UnfoldedEntries.Entry(revision, entry, refused: refused)) }
        }
    }
}

extension EtcdLog.Settings {
    /// The value of the key `journal/configuration`.
    var configurationRecord: ByteBuffer {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.key("format")
        writer.number(EntryCoding.format)
        writer.key("flags")
        writer.beginObject()
        for (name, value) in shared.sorted(by: { $0.key < $1.key }) {
            writer.key(text: name)
            writer.string(value)
        }
        writer.endObject()
        writer.endObject()
        return ByteBuffer(bytes: writer.bytes)
    }
}

extension ArrivedEntry {
    /// nil where the key is no entry's.
    init?(_ keyValue: KeyValue, _ keys: EtcdKeys) {
        guard let name = keys.name(of: keyValue.key, in: keys.entries), let slash = name.firstIndex(of: "/"),
            let number = Int64(name[name.index(after: slash)...])
        else { return nil }
        self.init(id: String(name[..<slash]), number: number, value: keyValue.value)
    }
}
