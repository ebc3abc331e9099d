import Addressing

/// The journal's form of a transaction: compact, length-checked, and closed by a checksum, so that a page that was
/// damaged on the disk is noticed and never taken for a record.
///
/// Layout, little-endian: format (1), count (4), records, checksum (8) over all before it. A record is kind (1), is-put
/// (1), version (8), key (4 + n), and for a put document (4 + n), context (4 + n), holdings (4 + n times pool (1),
/// prefix length (1), family (1), address (4 or 16)).
enum RecordCoding {
    private static let format: UInt8 = 1

    static func encode(_ transaction: LedgerTransaction) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(64 + transaction.records.reduce(0) { $0 + $1.approximateSize })
        bytes.append(format)
        bytes.appendInteger(UInt32(transaction.records.count))
        for record in transaction.records { append(record, to: &bytes) }
        bytes.appendInteger(bytes.withUnsafeBytes(checksum))
        return bytes
    }

    private static func append(_ record: LedgerRecord, to bytes: inout [UInt8]) {
        bytes.append(record.kind.rawValue)
        guard case .put(let document, let context, let holdings) = record.change else {
            bytes.append(0)
            bytes.appendInteger(record.version)
            bytes.appendBlob(record.key.utf8)
            return
        }
        bytes.append(1)
        bytes.appendInteger(record.version)
        bytes.appendBlob(record.key.utf8)
        bytes.appendBlob(document)
        bytes.appendBlob(context)
        bytes.appendInteger(UInt32(holdings.count))
        for holding in holdings {
            bytes.append(holding.pool.rawValue)
            bytes.append(UInt8(holding.range.prefixLength))
            bytes.append(holding.range.network.family.rawValue)
            let address = holding.range.network.bits
            if holding.range.network.family == .ipv4 {
                bytes.appendInteger(UInt32(truncatingIfNeeded: address))
            } else {
                bytes.appendInteger(address)
            }
        }
    }

    /// nil where the bytes are not what `encode` wrote.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> LedgerTransaction? {
        guard bytes.count >= 13 else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 8)])
        var tail = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - 8)...]))
        guard tail.integer(UInt64.self) == checksum(body) else { return nil }
        var reader = ByteReader(body)
        guard reader.byte() == format, let count = reader.integer(UInt32.self) else { return nil }
        var records: [LedgerRecord] = []
        for _ in 0..<count {
            guard let record = record(from: &reader) else { return nil }
            records.append(record)
        }
        return reader.isAtEnd ? LedgerTransaction(records: records) : nil
    }

    private static func record(from reader: inout ByteReader) -> LedgerRecord? {
        guard let kind = reader.byte().flatMap(ObjectKind.init), let isPut = reader.byte(),
            let version = reader.integer(UInt64.self), let key = reader.blob()
        else { return nil }
        var record = LedgerRecord(
            kind: kind, key: String(decoding: key, as: UTF8.self), version: version, change: .delete)
        guard isPut == 1 else { return record }
        guard let document = reader.blob(), let context = reader.blob(), let count = reader.integer(UInt32.self) else {
            return nil
        }
        var holdings: [Holding] = []
        for _ in 0..<count {
            guard let holding = holding(from: &reader) else { return nil }
            holdings.append(holding)
        }
        record.change = .put(document: Array(document), context: Array(context), holdings: holdings)
        return record
    }

    private static func holding(from reader: inout ByteReader) -> Holding? {
        guard let pool = reader.byte().flatMap(Holding.Pool.init), let prefixLength = reader.byte(),
            let family = reader.byte().flatMap(IPFamily.init), Int(prefixLength) <= family.addressBits,
            let bits = family == .ipv4 ? reader.integer(UInt32.self).map({ UInt128($0) }) : reader.integer(UInt128.self)
        else { return nil }
        let address = IPAddress(family: family, bits: bits)
        return Holding(pool: pool, range: CIDR(containing: address, prefixLength: Int(prefixLength)))
    }

    /// FNV-1a over words of eight bytes: no defence against a forger, and none is needed against a disk.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(bytes.count)
        var offset = 0
        while offset + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            hash = (hash ^ word) &* 0x0000_0100_0000_01b3
            hash ^= hash >> 29
            offset += 8
        }
        while offset < bytes.count {
            hash = (hash ^ UInt64(bytes[offset])) &* 0x0000_0100_0000_01b3
            offset += 1
        }
        return hash ^ hash >> 32
    }
}

extension LedgerRecord {
    fileprivate var approximateSize: Int {
        guard case .put(let document, let context, let holdings) = change else { return 32 + key.utf8.count }
        return 64 + key.utf8.count + document.count + context.count + holdings.count * 19
    }
}

extension [UInt8] {
    fileprivate mutating func appendInteger(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    fileprivate mutating func appendBlob(_ blob: some Collection<UInt8>) {
        appendInteger(UInt32(blob.count))
        append(contentsOf: blob)
    }
}

/// Reads what may have been damaged: never past the end.
private struct ByteReader {
    // Lent for the time of the decoding; every access is behind a check of what is left.
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() -> UInt8? { integer(UInt8.self) }

    mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) -> Value? {
        let size = MemoryLayout<Value>.size
        guard bytes.count - position >= size else { return nil }
        defer { position += size }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    mutating func blob() -> UnsafeRawBufferPointer? {
        guard let count = integer(UInt32.self), bytes.count - position >= Int(count) else { return nil }
        defer { position += Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<(position + Int(count))])
    }
}
