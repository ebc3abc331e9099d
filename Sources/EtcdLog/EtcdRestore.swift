import EtcdClient
public import Ledger
import NIOCore
import Synchronization
import TandemAPI

/// Fills an empty prefix of etcd with the content of another log.
///
/// The key `journal/restoring` is made first, in a transaction that finds no key below the prefix, and goes last, with the transaction that
/// writes the configuration; each one between compares it. While it is there no server starts, and one that would begins nothing here. A restore
/// that did not come to its end is begun anew by the next one, which takes the key over and clears the prefix.
public final class EtcdRestore: Sendable {
    /// Puts of one transaction, of which etcd takes 128, and their bytes.
    private static let batchCount = 100
    private static let batchBytes = 512 << 10

    private let settings: EtcdLog.Settings
    private let keys: EtcdKeys
    private let client: EtcdClient
    /// The value of `journal/restoring`: this restore, and no other.
    private let mark: ByteBuffer
    private let batch = Mutex(Batch())

    private struct Batch {
        var puts: [RequestOperation] = []
        var bytes = 0

        mutating func take() -> [RequestOperation] {
            defer { self = Batch() }
            return puts
        }
    }

    private init(_ settings: EtcdLog.Settings) {
        self.settings = settings
        keys = EtcdKeys(prefix: settings.prefix)
        client = EtcdClient(settings.client)
        let id = String(UInt64.random(in: .min ... .max), radix: 16).padded(to: 16)
        mark = ByteBuffer(string: #"{"id":"\#(id)","since":"\#(settings.since)"}"#)
    }

    /// Everything that is in `source`'s folded form; nothing may be behind it. Blocks, O(objects). Throws where the prefix is not
    /// empty, which is then left as it is; where another restore is begun meanwhile; and the errors of `source` and etcd. Then the prefix takes
    /// no server until it is restored or cleared.
    public static func run(_ settings: EtcdLog.Settings, from source: any Log) throws {
        let restore = EtcdRestore(settings)
        defer { restore.client.close() }
        let claim = try restore.begin()
        let version = try source.load { object in try restore.add(object.record, claim) }
        try restore.put(restore.batch.withLock { $0.take() }, claim)
        try restore.end(version, claim)
    }

    // MARK: The prefix

    /// Returns the revision of `journal/restoring`.
    private func begin() throws(LedgerError) -> Int64 {
        let all = keys.all
        let put = RequestOperation.put(PutRequest(keys.restoring, mark))
        let first = try client.askPersistently(
            TxnRequest(
                compare: [Compare(all.start, to: all.end, .createRevision(0))], success: [put],
                failure: [
                    .range(RangeRequest(keys.restoring)), .range(RangeRequest(all.start, to: all.end, limit: 1)),
                ]))
        if first.isSucceeded { return first.header.revision }
        let found = first.responses.map(\.onlyKeyValue)
        guard let unfinished = found.first.flatMap({ $0 }) else {
            let key = found.last.flatMap { $0 }.map { String(buffer: $0.key) } ?? ""
            throw LedgerError(
                .locked,
                "the prefix \(settings.prefix) is not empty (\(key) is there) and was not touched; give an empty --etcd-prefix, or leave "
                    + "--restore out")
        }
        // Sent twice, and done the first time.
        if unfinished.value == mark { return unfinished.modRevision }
        let second = try client.askPersistently(
            TxnRequest(
                compare: [Compare(keys.restoring, .modRevision(unfinished.modRevision))], success: [put],
                failure: [.range(RangeRequest(keys.restoring))]))
        guard second.isSucceeded || second.responses.first?.onlyKeyValue?.value == mark else { throw Self.displaced }
        let claim = second.responses.first?.onlyKeyValue?.modRevision ?? second.header.revision
        try clear(claim)
        return claim
    }

    /// Deletes the keys of an unfinished restore: a table's part at a time, since etcd does nothing else meanwhile.
    private func clear(_ claim: Int64) throws(LedgerError) {
        for range in RecordKind.allCases.flatMap(keys.table) {
            try carryOut([.delete(DeleteRangeRequest(range.start, to: range.end))], claim)
        }
        var behind = keys.restoring
        behind.writeInteger(0 as UInt8)
        try carryOut(
            [
                .delete(DeleteRangeRequest(keys.all.start, to: keys.restoring)),
                .delete(DeleteRangeRequest(behind, to: keys.all.end)),
            ], claim)
    }

    // MARK: The new keys

    /// From several threads; the one that fills a batch sends it.
    private func add(_ record: StoredRecord, _ claim: Int64) throws(LedgerError) {
        let value = record.tableValue
        let put = RequestOperation.put(PutRequest(keys.object(record.key), value))
        let full: [RequestOperation] = batch.withLock { batch in
            let isFull = batch.puts.count == Self.batchCount || batch.bytes + value.readableBytes > Self.batchBytes
            let full = isFull ? batch.take() : []
            batch.puts.append(put)
            batch.bytes += value.readableBytes
            return full
        }
        try self.put(full, claim)
    }

    private func put(_ operations: [RequestOperation], _ claim: Int64) throws(LedgerError) {
        if !operations.isEmpty { try carryOut(operations, claim) }
    }

    /// Operations that may be repeated.
    private func carryOut(_ operations: [RequestOperation], _ claim: Int64) throws(LedgerError) {
        let response = try client.askPersistently(
            TxnRequest(compare: [Compare(keys.restoring, .modRevision(claim))], success: operations))
        guard response.isSucceeded else { throw Self.displaced }
    }

    private func end(_ version: UInt64, _ claim: Int64) throws(LedgerError) {
        let configuration = settings.configurationRecord
        let response = try client.askPersistently(
            TxnRequest(
                compare: [Compare(keys.restoring, .modRevision(claim))],
                success: [
                    .put(PutRequest(keys.folded, FoldedMark(revision: claim, version: version).bytes)),
                    .put(PutRequest(keys.head, ByteBuffer())), .put(PutRequest(keys.configuration, configuration)),
                    .delete(DeleteRangeRequest(keys.restoring)),
                ],
                failure: [.range(RangeRequest(keys.restoring)), .range(RangeRequest(keys.configuration))]))
        if response.isSucceeded { return }
        // Sent twice, and done the first time.
        let found = response.responses.map(\.onlyKeyValue)
        guard found.count == 2, found[0] == nil, found[1]?.value == configuration else { throw Self.displaced }
    }

    private static let displaced = LedgerError(
        .locked, "another restore into this prefix has begun, or its keys were deleted: this one has ended")
}

extension EtcdLog.Settings {
    /// Why no server starts where a restore did not come to its end.
    var unfinishedRestore: LedgerError {
        LedgerError(
            .corrupt,
            "a restore into the prefix \(prefix) has begun and has not ended: where it does not run any more, give --restore FILE again, which "
                + "begins it anew, or clear the prefix with `etcdctl del --prefix \(prefix)/`")
    }
}
