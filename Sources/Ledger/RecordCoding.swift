import Addressing

/// The journal's form of transactions that are kept together: compact, length-checked, and closed by a checksum, so that a
/// page that was damaged on the disk is noticed and never taken for a record.
///
/// Layout, little-endian: format (1), count of records (4), records, checksum (8) over all before it. A record is kind (1),
/// is-put (1), version (8), key (4 + n), and for a put document (4 + n), context (4 + n), holdings (4 + n times pool (1),
/// prefix length (1), family (1), address (4 or 16)).
enum RecordCoding {
    private static let format: UInt8 = 1
    private static let checksumBytes = 8

    /// One row's bytes for the records of all the transactions, in their order. O(bytes).
    static func encode(_ transactions: ArraySlice<LedgerTransaction>) -> [UInt8] {
        var size = 1 + 4 + checksumBytes
        var count = 0
        for transaction in transactions {
            count += transaction.records.count
            size += transaction.encodedBytes
        }
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, written in
            var writer = ByteWriter(buffer)
            writer.put(format)
            writer.put(UInt32(count))
            for transaction in transactions {
                for record in transaction.records { writer.put(record) }
            }
            writer.put(checksum(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<writer.count])))
            written = writer.count
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

extension LedgerTransaction {
    /// What its records take in a row. O(records and holdings).
    var encodedBytes: Int { records.reduce(0) { $0 + $1.encodedBytes } }
}

extension LedgerRecord {
    /// Exactly what `ByteWriter` writes for it.
    fileprivate var encodedBytes: Int {
        let head = 1 + 1 + 8 + 4 + key.utf8.count
        guard case .put(let document, let context, let holdings) = change else { return head }
        return holdings.reduce(head + 4 + document.count + 4 + context.count + 4) {
            $0 + 3 + $1.range.network.family.addressBits / 8
        }
    }
}

/// Writes into memory that its maker knows to be large enough.
private struct ByteWriter {
    // Proof: lives only inside the closure that lends the memory, which has the size that `encodedBytes` adds up to;
    // debug builds check each write against it.
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ buffer: UnsafeMutableBufferPointer<UInt8>) {
        self.buffer = buffer
    }

    mutating func put(_ value: some FixedWidthInteger) {
        let value = value.littleEndian
        let size = MemoryLayout.size(ofValue: value)
        assert(count + size <= buffer.count)
        UnsafeMutableRawBufferPointer(buffer).storeBytes(of: value, toByteOffset: count, as: type(of: value))
        count += size
    }

    mutating func putBlob(_ blob: UnsafeBufferPointer<UInt8>) {
        put(UInt32(blob.count))
        assert(count + blob.count <= buffer.count)
        _ = UnsafeMutableBufferPointer(rebasing: buffer[count...]).update(fromContentsOf: blob)
        count += blob.count
    }

    mutating func put(_ record: LedgerRecord) {
        put(record.kind.rawValue)
        guard case .put(let document, let context, let holdings) = record.change else {
            put(UInt8(0))
            put(record.version)
            return putKey(record.key)
        }
        put(UInt8(1))
        put(record.version)
        putKey(record.key)
        document.withUnsafeBufferPointer { putBlob($0) }
        context.withUnsafeBufferPointer { putBlob($0) }
        put(UInt32(holdings.count))
        for holding in holdings { put(holding) }
    }

    private mutating func putKey(_ key: String) {
        var key = key
        key.withUTF8 { putBlob($0) }
    }

    private mutating func put(_ holding: Holding) {
        put(holding.pool.rawValue)
        put(UInt8(holding.range.prefixLength))
        put(holding.range.network.family.rawValue)
        let address = holding.range.network.bits
        if holding.range.network.family == .ipv4 { put(UInt32(truncatingIfNeeded: address)) } else { put(address) }
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
