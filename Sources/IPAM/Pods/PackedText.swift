/// A form that many texts have, of fixed signs and lower-case hexadecimal digits: a text of it is kept as its digits alone, two
/// in a byte.
struct PackedText {
    /// `x` stands for a digit, anything else for itself; digits stand in pairs.
    private let form: StaticString
    let textCount: Int
    let packedCount: Int

    private init(_ form: StaticString, packedCount: Int) {
        self.form = form
        textCount = form.utf8CodeUnitCount
        self.packedCount = packedCount
    }

    /// The key of a container's first interface, as every run-time names containers.
    static let containerKey = PackedText(
        "container/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/eth0", packedCount: 32)

    /// The digits, in memory of `packedCount` bytes; nil where the text has another form. O(length).
    func pack(_ text: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawPointer) -> UnsafeRawBufferPointer? {
        guard text.count == textCount, let text = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
            return nil
        }
        let form = form.utf8Start
        var packed = 0
        var index = 0
        // All that is not a digit, or not where it belongs, leaves a bit here.
        var wrong: UInt8 = 0
        while index < textCount {
            if form[index] == UInt8(ascii: "x") {
                // Digits stand in pairs, as many as `packedCount`: inside both texts and the memory.
                let (high, low) = (Self.digit(text[index]), Self.digit(text[index + 1]))
                wrong |= high | low
                bytes.storeBytes(of: high << 4 | low, toByteOffset: packed, as: UInt8.self)
                packed += 1
                index += 2
            } else {
                wrong |= form[index] == text[index] ? 0 : 0xFF
                index += 1
            }
        }
        return wrong < 16 ? UnsafeRawBufferPointer(start: bytes, count: packedCount) : nil
    }

    /// 16 or more for characters other than digits.
    @inline(__always)
    private static func digit(_ byte: UInt8) -> UInt8 {
        let decimal = byte &- UInt8(ascii: "0")
        let letter = byte &- UInt8(ascii: "a")
        return decimal < 10 ? decimal : letter < 6 ? letter + 10 : 0xFF
    }

    /// Calls `body` with the text that `pack` made these bytes of, held on the stack. O(length).
    func withText<Result>(
        of bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(byteCount: textCount, alignment: 1) { text in
            let form = form.utf8Start
            var packed = 0
            var index = 0
            while index < textCount {
                if form[index] == UInt8(ascii: "x") {
                    text[index] = Self.sign(bytes[packed] >> 4)
                    text[index + 1] = Self.sign(bytes[packed] & 0xF)
                    packed += 1
                    index += 2
                } else {
                    text[index] = form[index]
                    index += 1
                }
            }
            return body(UnsafeRawBufferPointer(text))
        }
    }

    @inline(__always)
    private static func sign(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}
