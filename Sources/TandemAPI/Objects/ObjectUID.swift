/// The uid of an object, a UUID as Kubernetes writes it: lower-case digits.
public struct ObjectUID: CanonicalText {
    @usableFromInline let high: UInt64
    @usableFromInline let low: UInt64

    public static let byteCount = 16
    @usableFromInline static let textCount = 36

    /// A version 4 UUID of RFC 9562 of random bits.
    public init(random high: UInt64, _ low: UInt64) {
        self.high = high & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        self.low = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    }

    /// Of the bytes that `withBytes` gave.
    public init(bytes: UnsafeRawBufferPointer) {
        high = bytes.loadUnaligned(as: UInt64.self)
        low = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    }

    @inlinable
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: (high, low), body)
    }

    /// O(1).
    public init?(canonical text: UnsafeRawBufferPointer) {
        guard text.count == Self.textCount else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        // All that is not a digit, or not where it belongs, leaves a bit here.
        var wrong: UInt8 = 0
        for place in 0..<Self.textCount {
            let byte = text[place]
            if place == 8 || place == 13 || place == 18 || place == 23 {
                wrong |= byte ^ UInt8(ascii: "-")
                continue
            }
            let (decimal, letter) = (byte &- UInt8(ascii: "0"), byte &- UInt8(ascii: "a"))
            let digit = decimal < 10 ? decimal : letter < 6 ? letter + 10 : 0
            wrong |= decimal < 10 || letter < 6 ? 0 : 1
            if place < 18 { words.0 = words.0 << 4 | UInt64(digit) } else { words.1 = words.1 << 4 | UInt64(digit) }
        }
        guard wrong == 0 else { return nil }
        (high, low) = words
    }

    /// The text is held on the stack. O(1).
    public func withText(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: Self.textCount, alignment: 1) { text in
            // Eight digits each, the first in the lowest byte.
            let (first, second) = (hexadecimal(high >> 32), hexadecimal(high))
            let (third, fourth) = (hexadecimal(low >> 32), hexadecimal(low))
            func put(_ digits: UInt64, at place: Int) {
                text.storeBytes(of: digits.littleEndian, toByteOffset: place, as: UInt64.self)
            }
            func putHalf(_ digits: UInt64, at place: Int) {
                let half = UInt32(truncatingIfNeeded: digits).littleEndian
                text.storeBytes(of: half, toByteOffset: place, as: UInt32.self)
            }
            put(first, at: 0)
            putHalf(second, at: 9)
            putHalf(second >> 32, at: 14)
            putHalf(third, at: 19)
            putHalf(third >> 32, at: 24)
            put(fourth, at: 28)
            for place in [8, 13, 18, 23] { text[place] = UInt8(ascii: "-") }
            body(UnsafeRawBufferPointer(text))
        }
    }
}

extension Written where Value == ObjectUID {
    /// The length of the text. O(1).
    @inlinable
    public var byteCount: Int {
        switch self {
        case .value: ObjectUID.textCount
        case .other(let text): text.utf8.count
        }
    }

    /// Of the bytes that `withBytes` gave.
    public init(bytes: UnsafeRawBufferPointer, isValue: Bool) {
        self = isValue ? .value(ObjectUID(bytes: bytes)) : .other(String(decoding: bytes, as: UTF8.self))
    }

    /// Calls `body` with the value's `byteCount` bytes, or with the other text.
    @inlinable
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        switch self {
        case .value(let uid): return uid.withBytes(body)
        case .other(var text): return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
        }
    }
}

/// The lower half's eight digits, the first in the lowest byte: all eight are made side by side.
private func hexadecimal(_ value: UInt64) -> UInt64 {
    // One nibble a byte, the highest nibble in the lowest byte.
    var digits = UInt64(UInt32(truncatingIfNeeded: value).byteSwapped)
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF
    digits = (digits >> 4 | digits << 8) & 0x0F0F_0F0F_0F0F_0F0F
    // 1 in each byte past 9.
    let letters = (digits &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    return digits &+ 0x3030_3030_3030_3030 &+ letters &* UInt64(UInt8(ascii: "a") - UInt8(ascii: "0") - 10)
}
