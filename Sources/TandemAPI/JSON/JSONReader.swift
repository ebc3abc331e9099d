/// A pull reader over the bytes of one JSON text (RFC 8259, strict UTF-8), without copies and without Foundation.
///
/// The caller asks for what it expects, in the order of the text; whatever it does not want it skips with `skipValue`
/// or keeps with `readText`, and both check what they pass over. Nothing is allocated but the strings asked for.
/// Not thread-safe; the bytes must outlive the reader (use it inside `withUnsafeBytes`).
public struct JSONReader {
    /// Arrays and objects may lie in one another this deep.
    public static let maximumDepth = 64

    // Valid for as long as the closure that lent the bytes runs; the reader never leaves it.
    let text: UnsafeRawBufferPointer
    /// Offset of the next byte.
    public internal(set) var position = 0
    var depth = 0

    public init(_ text: UnsafeRawBufferPointer) {
        self.text = text
    }

    /// Reads one whole text with `body`, behind whose value nothing but white space may follow.
    public static func read<Value>(
        _ text: [UInt8], _ body: (inout JSONReader) throws(JSONError) -> Value
    ) throws(JSONError) -> Value {
        // `withUnsafeBytes` does not pass typed errors on; a result does.
        try text.withUnsafeBytes { buffer in
            Result { () throws(JSONError) in
                var reader = JSONReader(buffer)
                let value = try body(&reader)
                try reader.finish()
                return value
            }
        }.get()
    }

    /// What the next value is, by its first byte.
    public enum Kind: String, Sendable {
        case object = "an object"
        case array = "an array"
        case string = "a string"
        case number = "a number"
        case bool = "a boolean"
        case null = "null"
    }

    // MARK: Looking

    /// The kind of the next value, which is not consumed.
    public mutating func peek() throws(JSONError) -> Kind {
        skipWhitespace()
        guard position < text.count else { throw syntax("the text ends where a value was expected") }
        switch text[position] {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        default: throw syntax("expected a value")
        }
    }

    /// Consumes the next value if it is `null`. Kubernetes reads a member that is null as one that is absent.
    public mutating func skipNull() throws(JSONError) -> Bool {
        guard try peek() == .null else { return false }
        try expectWord("null")
        return true
    }

    /// Throws unless nothing but white space is left.
    public mutating func finish() throws(JSONError) {
        skipWhitespace()
        guard position == text.count else { throw syntax("expected the end of the text") }
    }

    // MARK: Scalars

    public mutating func readBool() throws(JSONError) -> Bool {
        try expect(.bool)
        if text[position] == UInt8(ascii: "t") {
            try expectWord("true")
            return true
        }
        try expectWord("false")
        return false
    }

    /// A whole number that fits `Int`; `1.0` and `1e2` are refused.
    public mutating func readInt() throws(JSONError) -> Int {
        try expect(.number)
        let start = position
        try scanNumber()
        guard let value = Int(String(decoding: text[start..<position], as: UTF8.self)) else {
            throw JSONError(.type, at: start, "expected a whole number")
        }
        return value
    }

    public mutating func readString() throws(JSONError) -> String {
        try expect(.string)
        return try scanString().string(in: text)
    }

    // MARK: Containers

    /// Enters an object; then call `nextKey` until it returns nil, reading or skipping one value after each key.
    public mutating func beginObject() throws(JSONError) {
        try expect(.object)
        try descend()
    }

    /// The next key of the object entered last, or nil at its end, which is consumed.
    public mutating func nextKey(_ isFirst: inout Bool) throws(JSONError) -> JSONKey? {
        guard try nextItem(&isFirst, closing: UInt8(ascii: "}")) else { return nil }
        skipWhitespace()
        guard position < text.count, text[position] == UInt8(ascii: "\"") else {
            throw syntax("expected a member's name in quotes")
        }
        let scan = try scanString()
        skipWhitespace()
        guard position < text.count, text[position] == UInt8(ascii: ":") else { throw syntax("expected ':'") }
        position += 1
        return JSONKey(text: text, scan: scan)
    }

    /// Enters an array; then call `nextElement` until it returns false, reading or skipping one value after each.
    public mutating func beginArray() throws(JSONError) {
        try expect(.array)
        try descend()
    }

    /// Whether another element follows in the array entered last; at its end, which is consumed, false.
    public mutating func nextElement(_ isFirst: inout Bool) throws(JSONError) -> Bool {
        try nextItem(&isFirst, closing: UInt8(ascii: "]"))
    }

    /// Checks and passes over one value of any kind.
    public mutating func skipValue() throws(JSONError) {
        switch try peek() {
        case .null: try expectWord("null")
        case .bool: _ = try readBool()
        case .number: try scanNumber()
        case .string: _ = try scanString()
        case .array:
            try descend()
            var isFirst = true
            while try nextElement(&isFirst) { try skipValue() }
        case .object:
            try descend()
            var isFirst = true
            while try nextKey(&isFirst) != nil { try skipValue() }
        }
    }

    /// The next value as it was written, without white space between its tokens.
    public mutating func readText() throws(JSONError) -> JSONText {
        _ = try peek()
        let start = position
        try skipValue()
        return JSONText(compacting: UnsafeRawBufferPointer(rebasing: text[start..<position]))
    }

    // MARK: Inside

    private mutating func expect(_ kind: Kind) throws(JSONError) {
        let found = try peek()
        guard found == kind else {
            throw JSONError(.type, at: position, "expected \(kind.rawValue), found \(found.rawValue)")
        }
    }

    private mutating func descend() throws(JSONError) {
        guard depth < Self.maximumDepth else {
            throw syntax("arrays and objects lie more than \(Self.maximumDepth) deep")
        }
        depth += 1
        position += 1
    }

    private mutating func nextItem(_ isFirst: inout Bool, closing: UInt8) throws(JSONError) -> Bool {
        skipWhitespace()
        guard position < text.count else { throw syntax("the text ends inside an array or object") }
        if text[position] == closing {
            position += 1
            depth -= 1
            return false
        }
        if isFirst {
            isFirst = false
            return true
        }
        guard text[position] == UInt8(ascii: ",") else {
            throw syntax("expected ',' or '\(Character(UnicodeScalar(closing)))'")
        }
        position += 1
        // A comma promises another item: `[1,]` is not JSON.
        skipWhitespace()
        if position < text.count, text[position] == closing { throw syntax("expected a value after ','") }
        return true
    }

    @inline(__always)
    mutating func skipWhitespace() {
        while position < text.count {
            switch text[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func expectWord(_ word: StaticString) throws(JSONError) {
        let length = word.utf8CodeUnitCount
        guard text.count - position >= length else { throw syntax("expected '\(word)'") }
        for index in 0..<length where text[position + index] != word.utf8Start[index] {
            throw syntax("expected '\(word)'")
        }
        position += length
    }

    func syntax(_ message: String) -> JSONError {
        JSONError(.syntax, at: position, message)
    }
}
