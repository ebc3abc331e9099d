import Addressing
import FaultyLog
import Foundation
import Synchronization
import TestSupport

@testable import Ledger

extension ScratchDirectory {
    /// The files as they are now, as a crash would leave them.
    func copy() throws -> ScratchDirectory {
        let copy = ScratchDirectory()
        for name in try FileManager.default.contentsOfDirectory(atPath: path)
        where name == "tandem.db" || name == "tandem.db-wal" || name.hasPrefix("tandem.journal-") {
            try FileManager.default.copyItem(atPath: "\(path)/\(name)", toPath: "\(copy.path)/\(name)")
        }
        return copy
    }
}

extension SQLiteLog {
    /// With segments of two small groups each, so that they are soon written over again.
    static func tiny(_ directory: ScratchDirectory, _ disk: any SegmentDisk) throws -> SQLiteLog {
        try SQLiteLog(directory: directory.path, disk: disk, SegmentSizes(first: 8 << 10, most: 8 << 10))
    }

    /// With segments so small that a few groups fill them: 16 to 64 KiB.
    static func small(_ directory: ScratchDirectory, _ disk: any SegmentDisk = SystemDisk()) throws -> SQLiteLog {
        try SQLiteLog(directory: directory.path, disk: disk, SegmentSizes(first: 16 << 10, most: 64 << 10))
    }
}

/// Statements that put proposals into the table `journal`, each in a row behind the number, as releases up to schema version 5 did.
func journalRows(_ proposals: [Proposal], behind number: Int) -> String {
    proposals.enumerated().map { index, proposal in
        let row = EntryCoding.encode([proposal], isSealed: true).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return "INSERT INTO journal VALUES (\(number + index + 1), x'\(row.joined())');"
    }
    .joined(separator: "\n")
}

extension Proposal {
    /// The verdict of the tests' books: a proposal with this expectation is refused.
    static let refusal = Expectation.nodeEmpty("refused")

    var isKept: Bool { !expectations.contains(Self.refusal) }

    static func put(_ kind: RecordKind, _ key: String, _ document: String = "{}") -> Proposal {
        Proposal([.put(ObjectKey(kind, key), StoredForm(document: Array(document.utf8)))])
    }

    static func delete(_ kind: RecordKind, _ key: String) -> Proposal { Proposal([.delete(ObjectKey(kind, key))]) }
}

extension StoredTables {
    /// The state that a start finds: the tables, each object once and in the order of kinds, and the log's entries behind them.
    init(starting log: some Ledger.Log) throws {
        let records = Mutex<[StoredRecord]>([])
        let version = try log.load { object in
            let record = object.record
            records.withLock { records in
                let latest = records.last?.kind ?? .service
                precondition(latest.rawValue <= record.kind.rawValue, "a \(record.kind) came after a \(latest)")
                records.append(record)
            }
        }
        self.init(records: records.withLock { $0 }, version: version)
        try log.replay { proposal in
            take(proposal)
            return proposal.isKept
        }
    }

    /// A proposal at its place.
    mutating func take(_ proposal: Proposal) {
        if proposal.isKept { apply(proposal) }
    }
}

extension Ledger.Log {
    /// Appends a group, throws its outcome where it is not kept, and notes the refused proposals.
    func land(_ group: [Proposal]) throws {
        append(group)
        switch next() {
        case .landed: for (index, proposal) in group.enumerated() where !proposal.isKept { noteRefused(index) }
        case .failed(let error): throw error
        case let event: preconditionFailure("\(String(describing: event))")
        }
        precondition(next() == nil)
    }
}

extension Journal {
    /// Submits, keeps the proposals to be kept, and hands on the outcome.
    func send(_ proposal: Proposal, _ told: @escaping @Sendable (Result<Void, LedgerError>) -> Void) {
        submit(proposal) { result in
            told(result)
            return proposal.isKept
        }
    }
}

/// Random proposals, of every kind of change; some are refused.
struct ProposalMaker {
    private var generator: SeededGenerator
    private var tables = StoredTables()

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func next() -> Proposal {
        var proposal = Proposal([])
        for _ in 0..<random(0...2) { proposal.expectations.append(expectation()) }
        for _ in 0..<random(1...3) { proposal.changes.append(change()) }
        if random(0...7) == 0 { proposal.expectations.append(Proposal.refusal) }
        tables.take(proposal)
        return proposal
    }

    private mutating func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

    private mutating func key() -> ObjectKey {
        ObjectKey([.service, .node, .pod][random(0...2)], "default/näme-\(random(0...11))")
    }

    private mutating func range() -> CIDR {
        let family = random(0...1) == 0 ? IPFamily.ipv4 : .ipv6
        let bits =
            family == .ipv4 ? 0x0AF4_0000 | UInt128(random(0...15)) : UInt128(0xfd) << 120 | UInt128(random(0...15))
        let length = random(0...3) == 0 ? random(0...family.addressBits) : family.addressBits
        return CIDR(containing: IPAddress(family: family, bits: bits), prefixLength: length)
    }

    private mutating func holding() -> Holding {
        random(0...4) == 0
            ? .port(TransportProtocol.allCases[random(0...2)], UInt16(random(0...65_535)))
            : .range(Holding.Pool.allCases[random(0...3)], range())
    }

    private mutating func expectation() -> Expectation {
        switch random(0...3) {
        case 0: .absent(key())
        case 1: .unchanged(key(), version: generator.next() >> UInt64(random(0...63)))
        case 2: .incarnation(node: key().key, created: generator.next() >> UInt64(random(0...63)))
        default: .nodeEmpty(key().key)
        }
    }

    private mutating func change() -> Change {
        switch random(0...11) {
        case 0...5:
            let key = key()
            let document =
                #"{"metadata":{"name":"\#(key.key)","uid":"\#(generator.next())"},"spec":{"type":"ClusterIP"}}"#
            return .put(
                key,
                StoredForm(
                    document: Array(document.utf8), context: Array((random(0...1) == 0 ? "{}" : "").utf8),
                    holdings: (0..<random(0...2)).map { _ in holding() }))
        case 6, 7: return .delete(key())
        case 8, 9: return .cool(range(), node: "n\(random(0...3))", since: random(-70_000...2_000_000_000))
        case 10:
            // A cooling address, if there is one, mostly at its version.
            let cooling = tables.sorted.filter { $0.kind == .cooling }
            guard !cooling.isEmpty else { return .thaw(range(), version: 7) }
            let record = cooling[random(0...cooling.count - 1)]
            let range = CIDR(record.key.key) ?? CIDR(IPAddress(record.key.key)!)
            return .thaw(range, version: record.version &- UInt64(random(0...3) / 3))
        default: return .markReleasing(node: key().key)
        }
    }
}
