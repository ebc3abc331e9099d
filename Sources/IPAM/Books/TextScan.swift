import Glibc

/// Walks over a text from its front. Each step is O(length passed).
struct TextScan {
    var rest: UnsafeRawBufferPointer

    @inline(__always)
    mutating func skip(_ literal: StaticString) -> Bool {
        let count = literal.utf8CodeUnitCount
        // Both have `count` bytes at least.
        guard rest.count >= count, memcmp(rest.baseAddress!, literal.utf8Start, count) == 0 else { return false }
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        return true
    }

    /// Over bytes that are known to be there.
    @inline(__always)
    mutating func drop(_ count: Int) { rest = UnsafeRawBufferPointer(rebasing: rest[count...]) }

    /// Up to the next quote and over it; nil where there is none, or an escape is before it.
    @inline(__always)
    mutating func string() -> UnsafeRawBufferPointer? {
        guard let end = firstQuote() else { return nil }
        // Inside of `rest`, as `firstQuote` found it there.
        if end > 0, memchr(rest.baseAddress!, backslash, end) != nil { return nil }
        defer { rest = UnsafeRawBufferPointer(rebasing: rest[(end + 1)...]) }
        return UnsafeRawBufferPointer(rebasing: rest[..<end])
    }

    /// Over the next quote that ends a JSON string; false where there is none.
    mutating func skipString() -> Bool {
        if string() != nil { return true }
        var end = 0
        while end < rest.count {
            switch rest[end] {
            case UInt8(ascii: "\""):
                rest = UnsafeRawBufferPointer(rebasing: rest[(end + 1)...])
                return true
            case UInt8(ascii: "\\"): end += 2
            default: end += 1
            }
        }
        return false
    }

    /// Over the JSON value that the text begins with; false where it has no end. Its form is not checked, but for its brackets and
    /// strings.
    mutating func skipValue() -> Bool {
        var depth = 0
        while let byte = rest.first {
            switch byte {
            case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"):
                // Behind a number or a word.
                if depth == 0 { return true }
                if byte != UInt8(ascii: ",") { depth -= 1 }
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            default: break
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[1...])
            if byte == UInt8(ascii: "\""), !skipString() { return false }
            if depth == 0, byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
                return true
            }
        }
        return false
    }

    private func firstQuote() -> Int? {
        guard let start = rest.baseAddress, let quote = memchr(start, Int32(UInt8(ascii: "\"")), rest.count) else {
            return nil
        }
        return UnsafeRawPointer(quote) - start
    }

    private var backslash: Int32 { Int32(UInt8(ascii: "\\")) }
}
