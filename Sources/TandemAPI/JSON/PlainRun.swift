/// Looks at a string's bytes eight at a time: most of them stand for themselves.
enum PlainRun {
    /// How many bytes from the start need no attention: no quote, no backslash, no control character and, if `inASCII`, no
    /// byte past 0x7F. O(result).
    @inline(__always)
    static func length(_ bytes: UnsafeRawBufferPointer, from start: Int, inASCII: Bool) -> Int {
        var index = start
        while index &+ 8 <= bytes.count {
            // A word's first byte is its lowest on every machine that Swift runs on; elsewhere this turns it round.
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let marks = Self.marks(word) | (inASCII ? word & highBits : 0)
            if marks != 0 { return index &- start &+ marks.trailingZeroBitCount >> 3 }
            index &+= 8
        }
        while index < bytes.count, isPlain(bytes[index], inASCII) { index &+= 1 }
        return index &- start
    }

    /// Copies the bytes from the start on that stand for themselves in a JSON string, and returns how many they are; behind them up to seven
    /// more bytes are written, never past `count`.
    ///
    /// Both point to as many bytes as `count` says.
    @inline(__always)
    static func copy(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, to target: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let (bytes, target) = (UnsafeRawPointer(bytes), UnsafeMutableRawPointer(target))
        guard count >= 8 else { return copyFew(bytes, count, to: target) }
        var index = 0
        while true {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            target.storeBytes(of: word, toByteOffset: index, as: UInt64.self)
            let marks = Self.marks(UInt64(littleEndian: word))
            if marks != 0 { return index &+ marks.trailingZeroBitCount >> 3 }
            if index &+ 8 == count { return count }
            // The last word overlaps the one before it.
            index = min(index &+ 8, count &- 8)
        }
    }

    /// The same for less than a word.
    @inline(__always)
    private static func copyFew(_ bytes: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer) -> Int {
        var index = 0
        while index < count {
            let byte = bytes.load(fromByteOffset: index, as: UInt8.self)
            guard isPlain(byte, false) else { break }
            target.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            index &+= 1
        }
        return index
    }

    private static let highBits: UInt64 = 0x8080_8080_8080_8080
    private static let lowBits: UInt64 = 0x0101_0101_0101_0101

    /// The lowest high bit that is set belongs to the first byte that needs attention; bits above it may be wrong, as a
    /// subtraction borrows upward only.
    @inline(__always)
    private static func marks(_ word: UInt64) -> UInt64 {
        let quote = word ^ lowBits &* UInt64(UInt8(ascii: "\""))
        let backslash = word ^ lowBits &* UInt64(UInt8(ascii: "\\"))
        let control = (word &- lowBits &* 0x20) & ~word
        return (control | (quote &- lowBits) & ~quote | (backslash &- lowBits) & ~backslash) & highBits
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8, _ inASCII: Bool) -> Bool {
        byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") && !(inASCII && byte >= 0x80)
    }
}
