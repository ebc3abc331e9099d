/// Writes one compact JSON text (no line break in it) into memory of its own, which grows as need be.
///
/// The writer puts commas itself; the caller puts keys and values in order. Not thread-safe; it has one owner, which takes
/// `bytes` at the end.
public struct JSONWriter: ~Copyable {
    // Proof: this value alone uses the memory, `reserve` makes room before each write, and `deinit` frees it; lent memory outlives
    // the value, which does not leave the closure of `text`.
    private var memory: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var count = 0
    private var needsComma = false
    /// The first memory is lent, and no longer in use once the text has outgrown it.
    private var isLent = false

    /// `capacity` in bytes: the expected length.
    public init(capacity: Int = 512) {
        self.capacity = max(capacity, 64)
        memory = .allocate(capacity: self.capacity)
    }

    private init(lending memory: UnsafeMutableBufferPointer<UInt8>) {
        capacity = memory.count
        self.memory = memory.baseAddress!
        isLent = true
    }

    deinit {
        if !isLent { memory.deallocate() }
    }

    /// The text that `write` writes, in an array of just its size. Texts of up to a kilobyte are written on the stack first: one
    /// allocation in all.
    @inline(__always)
    public static func text(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1024) { memory in
            var writer = JSONWriter(lending: memory)
            write(&writer)
            return writer.bytes
        }
    }

    /// The text so far, in an array of just its size. O(length).
    public var bytes: [UInt8] { Array(UnsafeBufferPointer(start: memory, count: count)) }

    // MARK: Containers

    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// A key that needs no escape. It has no overload for other texts, by which literals would be taken for these.
    public mutating func key(_ name: StaticString) {
        key(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    private mutating func key(_ name: UnsafeBufferPointer<UInt8>) {
        reserve(name.count + 4)
        separate()
        put(UInt8(ascii: "\""))
        putAll(name)
        put(UInt8(ascii: "\""))
        put(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func key(text name: String) {
        string(name)
        reserve(1)
        put(UInt8(ascii: ":"))
        needsComma = false
    }

    // MARK: Values

    public mutating func string(_ value: String) {
        // Only a string from elsewhere, such as a bridged one, has no storage to lend; `withUTF8` makes some.
        guard value.utf8.withContiguousStorageIfAvailable({ quoted($0) }) == nil else { return }
        var value = value
        value.withUTF8 { quoted($0) }
    }

    /// A string that needs no escape.
    mutating func plain(_ value: StaticString) {
        plain(value.bytes)
    }

    mutating func plain(_ value: UnsafeRawBufferPointer) {
        beginText()
        append(UInt8(ascii: "\""))
        append(value)
        append(UInt8(ascii: "\""))
    }

    public mutating func string(_ value: some StringProtocol) {
        string(String(value))
    }

    /// A number as a string, as versions are written.
    public mutating func string(_ value: UInt64) {
        beginText()
        append(UInt8(ascii: "\""))
        append(decimal: value)
        append(UInt8(ascii: "\""))
    }

    public mutating func number(_ value: some BinaryInteger) {
        var digits = String(value)
        digits.withUTF8 { raw($0) }
    }

    public mutating func bool(_ value: Bool) {
        word(value ? "true" : "false")
    }

    public mutating func null() {
        word("null")
    }

    /// A value that is JSON already.
    public mutating func text(_ value: JSONText) {
        text(value.bytes)
    }

    /// A value that is JSON already; the caller vouches for it.
    public mutating func text(_ value: [UInt8]) {
        value.withUnsafeBufferPointer { raw($0) }
    }

    // MARK: Values in parts

    /// Begins a value that is JSON already and comes in parts, which `append` puts one behind the other; the caller vouches for it.
    @inline(__always)
    public mutating func beginText() {
        reserve(1)
        separate()
        needsComma = true
    }

    public mutating func append(_ part: UnsafeRawBufferPointer) {
        reserve(part.count)
        guard let start = part.baseAddress else { return }
        UnsafeMutableRawPointer(memory + count).copyMemory(from: start, byteCount: part.count)
        count &+= part.count
    }

    public mutating func append(_ part: StaticString) {
        append(part.bytes)
    }

    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        put(byte)
    }

    public mutating func append(decimal value: UInt64) {
        // As many as the largest has.
        let most = 20
        reserve(most)
        var rest = value
        var length = 1
        while rest >= 10 {
            rest /= 10
            length += 1
        }
        rest = value
        var place = count &+ length
        repeat {
            place &-= 1
            memory[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        count &+= length
    }

    /// Members that are the same in every text, as JSON: `"a":1,"b":2`.
    mutating func members(_ text: StaticString) {
        raw(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A member that is JSON already, with a comma in front.
    mutating func member(_ text: UnsafeRawBufferPointer) {
        append(needsComma ? text : UnsafeRawBufferPointer(rebasing: text.dropFirst()))
        needsComma = true
    }

    public mutating func strings(_ values: [String]) {
        beginArray()
        for value in values { string(value) }
        endArray()
    }

    // MARK: Inside

    private mutating func open(_ bracket: UInt8) {
        reserve(2)
        separate()
        put(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        reserve(1)
        put(bracket)
        needsComma = true
    }

    private mutating func word(_ word: StaticString) {
        raw(UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }

    private mutating func raw(_ value: UnsafeBufferPointer<UInt8>) {
        reserve(value.count + 1)
        separate()
        putAll(value)
        needsComma = true
    }

    /// Most strings need no escape: a run of bytes is taken over until one does.
    @inline(__always)
    private mutating func quoted(_ value: UnsafeBufferPointer<UInt8>) {
        reserve(value.count + 3)
        separate()
        put(UInt8(ascii: "\""))
        if let bytes = value.baseAddress {
            let run = PlainRun.copy(bytes, value.count, to: memory + count)
            count &+= run
            if run < value.count { escape(from: run, of: value) }
        }
        put(UInt8(ascii: "\""))
        needsComma = true
    }

    /// The rest of a string from the first byte on that needs an escape. Leaves room for the quote behind it.
    @inline(never)
    private mutating func escape(from start: Int, of value: UnsafeBufferPointer<UInt8>) {
        var start = start
        while start < value.count {
            escape(value[start])
            start += 1
            reserve(value.count - start + 1)
            guard let bytes = value.baseAddress else { return }
            let run = PlainRun.copy(bytes + start, value.count - start, to: memory + count)
            count &+= run
            start += run
        }
    }

    private mutating func escape(_ byte: UInt8) {
        reserve(6)
        put(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): put(byte)
        case 0x0A: put(UInt8(ascii: "n"))
        case 0x0D: put(UInt8(ascii: "r"))
        case 0x09: put(UInt8(ascii: "t"))
        default:
            for digit: UInt8 in [UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0")] { put(digit) }
            let digits: StaticString = "0123456789abcdef"
            put(digits.utf8Start[Int(byte >> 4)])
            put(digits.utf8Start[Int(byte & 0xF)])
        }
    }

    // MARK: Memory

    @inline(__always)
    private mutating func separate() {
        if needsComma { put(UInt8(ascii: ",")) }
    }

    @inline(__always)
    private mutating func put(_ byte: UInt8) {
        assert(count < capacity)
        memory[count] = byte
        count &+= 1
    }

    @inline(__always)
    private mutating func putAll(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        assert(capacity - count >= bytes.count)
        (memory + count).update(from: start, count: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    private mutating func reserve(_ more: Int) {
        if capacity &- count < more { grow(more) }
    }

    @inline(never)
    private mutating func grow(_ more: Int) {
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: memory, count: count)
        if !isLent { memory.deallocate() }
        isLent = false
        memory = larger
    }
}
