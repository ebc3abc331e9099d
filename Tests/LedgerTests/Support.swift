import Addressing
import Foundation
import Ledger
import Synchronization
import TestSupport

extension ScratchDirectory {
    /// The files as they are now, as a crash would leave them.
    func copy() throws -> ScratchDirectory {
        let copy = ScratchDirectory()
        for name in ["tandem.db", "tandem.db-wal"] where FileManager.default.fileExists(atPath: "\(path)/\(name)") {
            try FileManager.default.copyItem(atPath: "\(path)/\(name)", toPath: "\(copy.path)/\(name)")
        }
        return copy
    }
}

/// Objects by kind and key: the slow, obvious twin of a ledger.
struct Twin: Equatable {
    var objects: [String: LedgerRecord] = [:]
    var version: UInt64 = 0

    mutating func apply(_ transaction: LedgerTransaction) {
        for record in transaction.records {
            version = max(version, record.version)
            objects["\(record.kind) \(record.key)"] = record.change == .delete ? nil : record
        }
    }

    init() {}

    init(recovering store: some LedgerStore) throws {
        let objects = Mutex<[String: LedgerRecord]>([:])
        let latest = Mutex(ObjectKind.service)
        version = try store.recover { object in
            let record = object.record
            let old = objects.withLock { $0.updateValue(record, forKey: "\(record.kind) \(record.key)") }
            precondition(old == nil, "an object came twice")
            latest.withLock { latest in
                precondition(latest.rawValue <= record.kind.rawValue, "a \(record.kind) came after a \(latest)")
                latest = record.kind
            }
        }
        self.objects = objects.withLock { $0 }
    }
}

/// Random transactions in which no address ever has two owners.
struct TransactionMaker {
    private var generator: SeededGenerator
    private var free: [Holding]
    private var held: [String: LedgerRecord] = [:]
    private var version: UInt64 = 0

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        free = (1...60).map { Holding(pool: .serviceIP, address: IPAddress("10.96.0.\($0)")!) }
        free += (1...60).map { Holding(pool: .podIP, address: IPAddress("fd00::\($0)")!) }
        free += (1...20).map { Holding(pool: .nodeCIDR, range: CIDR("10.244.\($0).0/24")!) }
    }

    mutating func next() -> LedgerTransaction {
        var records: [LedgerRecord] = []
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            let kind = ObjectKind.allCases.randomElement(using: &generator)!
            let key = "default/name-\(Int.random(in: 0..<12, using: &generator))"
            guard !records.contains(where: { $0.kind == kind && $0.key == key }) else { continue }
            records.append(change(kind, key))
        }
        return LedgerTransaction(records: records)
    }

    private mutating func change(_ kind: ObjectKind, _ key: String) -> LedgerRecord {
        version += 1
        if case .put(_, _, let holdings)? = held["\(kind) \(key)"]?.change { free += holdings }
        guard Int.random(in: 0..<3, using: &generator) > 0 else {
            held["\(kind) \(key)"] = nil
            return LedgerRecord(kind: kind, key: key, version: version, change: .delete)
        }
        var holdings: [Holding] = []
        for _ in 0..<Int.random(in: 0...2, using: &generator) where !free.isEmpty {
            holdings.append(free.remove(at: Int.random(in: 0..<free.count, using: &generator)))
        }
        let document = #"{"metadata":{"name":"\#(key)","uid":"\#(generator.next())"},"spec":{"type":"ClusterIP"}}"#
        let context = Bool.random(using: &generator) ? "{}" : ""
        let record = LedgerRecord(
            kind: kind, key: key, version: version,
            change: .put(document: Array(document.utf8), context: Array(context.utf8), holdings: holdings))
        held["\(kind) \(key)"] = record
        return record
    }
}
