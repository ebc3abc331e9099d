import Glibc

/// Numbers and runs of bytes as entries have them. A number without a fixed size takes seven bits a byte, the lowest first; the
/// highest bit of each byte says that more follow.
enum EntryBytes {
    static let checksumBytes = 8

    /// The bytes of a number without a fixed size: 1 to 10.
    static func bytes(of number: UInt64) -> Int { (70 - (number | 1).leadingZeroBitCount) / 7 }

    static func bytes(ofCount count: Int) -> Int { bytes(of: UInt64(count)) }

    /// A run of bytes behind its length.
    static func bytes(ofRun count: Int) -> Int { bytes(ofCount: count) + count }

    /// FNV-1a over words of eight bytes: no defence against a forger, and none is needed against a disk.
    static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0xcbf2_9ce4_8422_2325) -> UInt64 {
        var hash = seed ^ UInt64(bytes.count)
        let words = bytes.count / 8
        for index in 0..<words {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self))
            hash = (hash ^ word) &* 0x0000_0100_0000_01b3
            hash ^= hash >> 29
        }
        for byte in bytes[(words * 8)...] { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return hash ^ hash >> 32
    }

    /// The bytes before a checksum that fits them; nil where it does not.
    static func unsealed(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard bytes.count >= checksumBytes else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - checksumBytes)])
        var tail = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[body.count...]))
        return tail.integer(UInt64.self) == checksum(body) ? body : nil
    }
}

/// Writes into memory that its maker knows to be large enough.
struct ByteWriter {
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

    mutating func putNumber(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            put(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        put(UInt8(rest))
    }

    mutating func putCount(_ count: Int) { putNumber(UInt64(count)) }

    mutating func putRun(_ run: UnsafeBufferPointer<UInt8>) {
        putCount(run.count)
        assert(count + run.count <= buffer.count)
        _ = UnsafeMutableBufferPointer(rebasing: buffer[count...]).update(fromContentsOf: run)
        count += run.count
    }

    mutating func putRun(_ run: [UInt8]) { run.withUnsafeBufferPointer { putRun($0) } }

    mutating func putText(_ text: String) {
        var text = text
        text.withUTF8 { putRun($0) }
    }

    /// The checksum over all before it.
    mutating func seal() {
        put(EntryBytes.checksum(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])))
    }
}

/// Reads bytes of any origin: never past the end.
struct ByteReader {
    // Lent for the time of the decoding; every access is after a check of the remaining length.
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// A part of the bytes; places are still those among all of them.
    init(_ bytes: UnsafeRawBufferPointer, _ part: Range<Int>) {
        self.bytes = UnsafeRawBufferPointer(rebasing: bytes[..<part.upperBound])
        position = part.lowerBound
    }

    var isAtEnd: Bool { position == bytes.count }

    /// Whether this is the next byte.
    func isAt(_ byte: UInt8) -> Bool { position < bytes.count && bytes[position] == byte }

    mutating func byte() -> UInt8? { integer(UInt8.self) }

    mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) -> Value? {
        let size = MemoryLayout<Value>.size
        guard bytes.count - position >= size else { return nil }
        defer { position += size }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    /// nil also where it is not in its shortest form: each number has one.
    mutating func number() -> UInt64? {
        var number: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard let byte = byte() else { return nil }
            // The tenth byte has one bit of the 64.
            if shift == 63, byte > 1 { return nil }
            number |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return byte == 0 && shift > 0 ? nil : number }
        }
        return nil
    }

    /// How many items follow, of `size` bytes at least: nil where so many can't, so that memory for them may be reserved.
    mutating func count(of size: Int) -> Int? {
        guard let number = number(), number <= UInt64((bytes.count - position) / size) else { return nil }
        return Int(number)
    }

    mutating func run() -> UnsafeRawBufferPointer? { place().map { UnsafeRawBufferPointer(rebasing: bytes[$0]) } }

    /// Where the run is.
    mutating func place() -> Range<Int>? {
        guard let count = count(of: 1) else { return nil }
        defer { position += count }
        return position..<position + count
    }

    /// So many bytes, where that many are left.
    mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard bytes.count - position >= count else { return nil }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<(position + count)])
    }

    /// nil where it is not UTF-8.
    mutating func text() -> String? {
        guard let run = run() else { return nil }
        // A tenth of the cost of the validating initialiser. A repaired text differs from the bytes.
        var text = String(decoding: run, as: UTF8.self)
        // Both have as many bytes as are compared, and where there are any, they lie somewhere.
        let isWhole = text.withUTF8 { text in
            text.count == run.count && (run.isEmpty || memcmp(text.baseAddress!, run.baseAddress!, run.count) == 0)
        }
        return isWhole ? text : nil
    }
}
