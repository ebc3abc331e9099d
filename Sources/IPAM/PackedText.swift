/// A form that many texts have, of fixed signs and lower-case hexadecimal digits: a text of it is kept as its digits alone, two
/// in a byte.
struct PackedText {
    /// `x` stands for a digit, anything else for itself.
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
    static let uuid = PackedText("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", packedCount: 16)
    static let timestamp = PackedText("xxxx-xx-xxTxx:xx:xxZ", packedCount: 7)

    /// The digits, in memory of `packedCount` bytes; nil where the text has another form. O(length).
    func pack(_ text: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawPointer) -> UnsafeRawBufferPointer? {
        guard text.count == textCount else { return nil }
        let form = form.utf8Start
        var digits = 0
        for index in 0..<textCount {
            let byte = text[index]
            guard form[index] == UInt8(ascii: "x") else {
                guard form[index] == byte else { return nil }
                continue
            }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default: return nil
            }
            // Inside the memory: two digits of the form make one byte of `packedCount`.
            if digits & 1 == 0 {
                bytes.storeBytes(of: digit << 4, toByteOffset: digits >> 1, as: UInt8.self)
            } else {
                let high = bytes.load(fromByteOffset: digits >> 1, as: UInt8.self)
                bytes.storeBytes(of: high | digit, toByteOffset: digits >> 1, as: UInt8.self)
            }
            digits += 1
        }
        return UnsafeRawBufferPointer(start: bytes, count: packedCount)
    }

    /// Calls `body` with the text that `pack` made these bytes of, held on the stack. O(length).
    func withText<Result>(
        of bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(byteCount: textCount, alignment: 1) { text in
            let form = form.utf8Start
            var digits = 0
            for index in 0..<textCount {
                guard form[index] == UInt8(ascii: "x") else {
                    text[index] = form[index]
                    continue
                }
                let byte = bytes[digits >> 1]
                let digit = digits & 1 == 0 ? byte >> 4 : byte & 0xF
                text[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                digits += 1
            }
            return body(UnsafeRawBufferPointer(text))
        }
    }
}
