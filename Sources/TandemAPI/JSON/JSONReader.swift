/// A pull reader over the bytes of one JSON text (RFC 8259, strict UTF-8), without copies and without Foundation.
///
/// The caller reads the values that it expects, in the order of the text; it skips others with `skipValue`
/// or keeps with `readText`, and both check the skipped text. Nothing is allocated but the strings asked for.
/// Not thread-safe; the bytes must outlive the reader (use it inside `withUnsafeBytes`).
public struct JSONReader {
    /// Arrays and objects may lie in one another this deep.
    public static let maximumDepth = 64
    /// One object may have so many members, at whatever depth, where the reader is limited.
    public static let maximumMembers = 4096

    // Valid for as long as the closure that lent the bytes runs; the reader never leaves it.
    let text: UnsafeRawBufferPointer
    /// Offset of the next byte.
    public internal(set) var position = 0
    var depth = 0
    /// For a client's input: see `maximumMembers`, and `readString`.
    let isLimited: Bool
    /// Where the first object with too many members has the first that is too many. Reading goes on: invalid JSON is
    /// distinguished from a text that is merely too large.
    var excess: Int?

    /// `isLimited` says that the text is a client's; not stored text from before the limits, nor a server's answer.
    public init(_ text: UnsafeRawBufferPointer, isLimited: Bool = true) {
        self.text = text
        self.isLimited = isLimited
    }

    /// Reads one whole text with `body`, behind whose value nothing but white space may follow.
    public static func read<Value>(
        _ text: [UInt8], isLimited: Bool = true, _ body: (inout JSONReader) throws(JSONError) -> Value
    ) throws(JSONError) -> Value {
        // `withUnsafeBytes` does not pass typed errors on; a result does.
        try text.withUnsafeBytes { buffer in
            Result { () throws(JSONError) in
                var reader = JSONReader(buffer, isLimited: isLimited)
                let value = try body(&reader)
                try reader.finish()
                try reader.checkMembers()
                return value
            }
        }.get()
    }

    /// The kind of the next value, by its first byte.
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
    @inline(__always)
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

    /// The fault of an object, read or skipped, with too many members.
    var excessFault: JSONError? {
        excess.map { JSONError(.type, at: $0, "an object has at most \(Self.maximumMembers) members") }
    }

    func checkMembers() throws(JSONError) {
        if let excessFault { throw excessFault }
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

    /// Of a client, a string without too many marks in a row: `JSONStringScan.checkMarks`.
    public mutating func readString() throws(JSONError) -> String {
        try expect(.string)
        return try string(try scanString())
    }

    /// A string that is looked at in place; ``string(_:)`` makes one of it.
    mutating func readKey() throws(JSONError) -> JSONKey {
        try expect(.string)
        return JSONKey(text: text, scan: try scanString())
    }

    @inline(__always)
    func string(_ scan: JSONStringScan) throws(JSONError) -> String {
        let string = try scan.string(in: text)
        if isLimited, !scan.isASCII { try scan.checkMarks(of: string) }
        return string
    }

    // MARK: Containers

    /// Enters an object; then call `nextKey` until it returns nil, reading or skipping one value after each key.
    public mutating func beginObject() throws(JSONError) {
        try expect(.object)
        try descend()
    }

    /// The next key of the object entered last, or nil at its end, which is consumed. `count` of the members so far is 0 at
    /// first, and stays with the object.
    public mutating func nextKey(_ count: inout Int) throws(JSONError) -> JSONKey? {
        guard try nextItem(&count, closing: UInt8(ascii: "}")) else { return nil }
        skipWhitespace()
        if count > Self.maximumMembers, isLimited, excess == nil { excess = position }
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

    /// Whether another element follows in the array entered last; at its end, which is consumed, false. `count` as above.
    public mutating func nextElement(_ count: inout Int) throws(JSONError) -> Bool {
        try nextItem(&count, closing: UInt8(ascii: "]"))
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
            var count = 0
            while try nextElement(&count) { try skipValue() }
        case .object:
            try descend()
            var count = 0
            while try nextKey(&count) != nil { try skipValue() }
        }
    }

    /// As `skipValue`, however many members an object has: for values that are not used in any case.
    mutating func skipValueOfAnySize() throws(JSONError) {
        let before = excess
        try skipValue()
        excess = before
    }

    /// The next value as it was written, without white space between its tokens.
    public mutating func readText() throws(JSONError) -> JSONText { JSONText(compacting: try readRawText()) }

    /// The next value as it was written, in place.
    mutating func readRawText() throws(JSONError) -> UnsafeRawBufferPointer {
        _ = try peek()
        let start = position
        try skipValue()
        return UnsafeRawBufferPointer(rebasing: text[start..<position])
    }

    // MARK: Inside

    @inline(__always)
    private mutating func expect(_ kind: Kind) throws(JSONError) {
        let found = try peek()
        guard found == kind else { throw unexpected(found, kind) }
    }

    @inline(never)
    private func unexpected(_ found: Kind, _ kind: Kind) -> JSONError {
        JSONError(.type, at: position, "expected \(kind.rawValue), found \(found.rawValue)")
    }

    @inline(__always)
    private mutating func descend() throws(JSONError) {
        guard depth < Self.maximumDepth else {
            throw syntax("arrays and objects lie more than \(Self.maximumDepth) deep")
        }
        depth += 1
        position += 1
    }

    @inline(__always)
    private mutating func nextItem(_ count: inout Int, closing: UInt8) throws(JSONError) -> Bool {
        skipWhitespace()
        guard position < text.count else { throw syntax("the text ends inside an array or object") }
        if text[position] == closing {
            position += 1
            depth -= 1
            return false
        }
        count &+= 1
        if count == 1 { return true }
        guard text[position] == UInt8(ascii: ",") else { throw noComma(closing) }
        position += 1
        // A comma promises another item: `[1,]` is not JSON.
        skipWhitespace()
        if position < text.count, text[position] == closing { throw syntax("expected a value after ','") }
        return true
    }

    @inline(never)
    private func noComma(_ closing: UInt8) -> JSONError {
        syntax("expected ',' or '\(Character(UnicodeScalar(closing)))'")
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

    @inline(never)
    func syntax(_ message: String) -> JSONError {
        JSONError(.syntax, at: position, message)
    }
}
