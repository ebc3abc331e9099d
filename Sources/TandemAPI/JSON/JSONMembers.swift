/// Members of an object that are kept as they came, in their order: one piece of memory, which is written out as it is. Of a member that comes
/// twice the last value counts, behind all others unless both have one length.
public struct JSONMembers: Sendable, Hashable {
    /// Of each member a `Head`, and then its text: a comma, the name as a JSON string, a colon, the value.
    private var records: [UInt8] = []
    public private(set) var count = 0
    /// Where each name's record is; nil while they are few, and looked through sooner than hashed.
    private var places: [NameBytes: Int]?

    private static let few = 16

    /// Of records that are no longer members.
    private var deadBytes = 0
    private var deadCount = 0
    /// As many as a look through all passes.
    private var recordCount: Int { count + deadCount }

    /// In front of a record's text, in the byte order of the machine. A text is shorter than 2 GiB.
    private struct Head {
        /// Of the name, with its quotes.
        var nameCount: UInt32
        /// Of the value.
        var valueCount: UInt32
        /// Replaced or taken out.
        var isDead = false

        static let size = 9
        var textCount: Int { Int(nameCount) + Int(valueCount) + 2 }
        /// Behind the record, from its start on.
        var end: Int { Self.size + textCount }

        func name(in text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: text[1..<(1 + Int(nameCount))])
        }

        func value(in text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: text[(2 + Int(nameCount))...])
        }
    }

    public init() {}

    public var isEmpty: Bool { count == 0 }

    /// The length of their text, with a comma in front of each. O(1).
    public var byteCount: Int { records.count - deadBytes - count * Head.size }

    /// A new list. O(length).
    public var members: [(name: String, value: JSONText)] {
        var members: [(name: String, value: JSONText)] = []
        members.reserveCapacity(count)
        visit { _, text, head in
            members.append((Self.string(head.name(in: text)), JSONText(unchecked: Array(head.value(in: text)))))
            return true
        }
        return members
    }

    /// To look up takes O(members) while they are few, then O(length of the name); to put and to take out that, and where a value of another
    /// length is replaced O(length of all).
    public subscript(name: String) -> JSONText? {
        get {
            guard count > 0 else { return nil }
            return Self.withQuoted(name) { quoted in
                place(of: name, quoted).map { place in withRecord(at: place) { JSONText(unchecked: Array($1)) } }
            }
        }
        set {
            Self.withQuoted(name) { quoted in
                guard let newValue else { return remove(name, quoted) }
                newValue.bytes.withUnsafeBytes { value in put(name, quoted, value) }
            }
        }
    }

    /// Puts the members in the order of their names' bytes. O(n log n).
    public mutating func sort() {
        guard count > 1 else { return }
        let sorted = members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        self = JSONMembers()
        for (name, value) in sorted { self[name] = value }
    }

    /// Equal where they would be written the same.
    public static func == (left: Self, right: Self) -> Bool {
        left.count == right.count && left.live.records == right.live.records
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(live.records) }

    /// Without dead records.
    private var live: JSONMembers {
        var copy = self
        if deadBytes > 0 { copy.dropDead() }
        return copy
    }

    /// Reads the value behind `key` and keeps it; a member that is null counts as absent, a repeated one replaces.
    mutating func keep(_ key: JSONKey, _ reader: inout JSONReader) throws(JSONError) {
        guard try !reader.skipNull() else { return }
        let value = try reader.readRawText()
        // Nothing more is kept of a message that is refused in any case.
        try reader.checkMembers()
        guard let quoted = key.quotedBytes, key.scan.isASCII else {
            keep(try reader.string(key.scan), JSONText(compacting: value))
            return
        }
        if places == nil, recordCount < Self.few, place(of: quoted) == nil {
            append(quoted, value, isCompact: false)
        } else {
            keep(key.string, JSONText(compacting: value))
        }
    }

    /// The text of each member, with a comma in front.
    func visitTexts(_ body: (UnsafeRawBufferPointer) -> Void) {
        visit { _, text, _ in
            body(text)
            return true
        }
    }

    // MARK: Records

    /// The place and the text of each member, and how much of it is the name, until `body` returns false.
    private func visit(_ body: (Int, UnsafeRawBufferPointer, Head) -> Bool) {
        records.withUnsafeBytes { records in
            var place = 0
            while place < records.count {
                let head = Self.head(records[place...])
                if !head.isDead {
                    let text = UnsafeRawBufferPointer(rebasing: records[(place + Head.size)..<(place + head.end)])
                    guard body(place, text, head) else { return }
                }
                place += head.end
            }
        }
    }

    /// Each record begins with a head.
    private static func head(_ records: Slice<UnsafeRawBufferPointer>) -> Head {
        let bytes = UnsafeRawBufferPointer(rebasing: records)
        return Head(
            nameCount: bytes.loadUnaligned(as: UInt32.self),
            valueCount: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self), isDead: bytes[8] != 0)
    }

    private static func store(_ head: Head, at place: Int, in records: UnsafeMutableRawBufferPointer) {
        records.storeBytes(of: head.nameCount, toByteOffset: place, as: UInt32.self)
        records.storeBytes(of: head.valueCount, toByteOffset: place + 4, as: UInt32.self)
        records[place + 8] = head.isDead ? 1 : 0
    }

    private func withRecord<Result>(
        at place: Int, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Result
    ) -> Result {
        records.withUnsafeBytes { records in
            let head = Self.head(records[place...])
            let text = UnsafeRawBufferPointer(rebasing: records[(place + Head.size)..<(place + head.end)])
            return body(head.name(in: text), head.value(in: text))
        }
    }

    private func place(of name: String, _ quoted: UnsafeRawBufferPointer) -> Int? {
        if let places { return places[NameBytes(name)] }
        return place(of: quoted)
    }

    /// O(members).
    private func place(of quoted: UnsafeRawBufferPointer) -> Int? {
        var found: Int?
        visit { place, text, head in
            if head.name(in: text).hasSameBytes(as: quoted) { found = place }
            return found == nil
        }
        return found
    }

    /// In the place of the one that is there.
    private mutating func put(_ name: String, _ quoted: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard let place = place(of: name, quoted) else { return append(name, quoted, value) }
        guard !replace(place, value) else { return }
        let range = valuePlace(place)
        records.withUnsafeMutableBytes { records in
            var head = Self.head(UnsafeRawBufferPointer(records)[place...])
            head.valueCount = UInt32(value.count)
            Self.store(head, at: place, in: records)
        }
        records.replaceSubrange(range, with: value)
        findPlaces()
    }

    /// One that comes again where members are read: to move the others for each would take the square of a client's bytes.
    private mutating func keep(_ name: String, _ value: JSONText) {
        Self.withQuoted(name) { quoted in
            value.bytes.withUnsafeBytes { value in
                if let place = place(of: name, quoted) {
                    guard !replace(place, value) else { return }
                    kill(place)
                }
                append(name, quoted, value)
                dropManyDead()
            }
        }
    }

    private func valuePlace(_ place: Int) -> Range<Int> {
        withRecord(at: place) { name, value in
            let start = place + Head.size + name.count + 2
            return start..<(start + value.count)
        }
    }

    /// False where the values have different lengths.
    private mutating func replace(_ place: Int, _ value: UnsafeRawBufferPointer) -> Bool {
        let range = valuePlace(place)
        guard range.count == value.count else { return false }
        records.replaceSubrange(range, with: value)
        return true
    }

    private mutating func append(_ name: String, _ quoted: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let place = records.count
        append(quoted, value, isCompact: true)
        if places != nil { places?[NameBytes(name)] = place } else if recordCount > Self.few { findPlaces() }
    }

    private mutating func remove(_ name: String, _ quoted: UnsafeRawBufferPointer) {
        guard let place = place(of: name, quoted) else { return }
        kill(place)
        places?[NameBytes(name)] = nil
        dropManyDead()
    }

    private mutating func kill(_ place: Int) {
        records.withUnsafeMutableBytes { records in
            var head = Self.head(UnsafeRawBufferPointer(records)[place...])
            head.isDead = true
            deadBytes += head.end
            deadCount += 1
            Self.store(head, at: place, in: records)
        }
        count -= 1
    }

    /// Once they are half of all: in all each byte is moved once at most for each that was put.
    private mutating func dropManyDead() {
        if deadBytes > records.count / 2 { dropDead() }
    }

    private mutating func dropDead() {
        var live: [UInt8] = []
        live.reserveCapacity(records.count - deadBytes)
        records.withUnsafeBytes { records in
            var place = 0
            while place < records.count {
                let head = Self.head(records[place...])
                if !head.isDead {
                    live.append(contentsOf: UnsafeRawBufferPointer(rebasing: records[place..<(place + head.end)]))
                }
                place += head.end
            }
        }
        (records, deadBytes, deadCount) = (live, 0, 0)
        findPlaces()
    }

    private mutating func findPlaces() {
        places = nil
        guard recordCount > Self.few else { return }
        var found: [NameBytes: Int] = [:]
        found.reserveCapacity(count)
        visit { place, text, head in
            found[NameBytes(Self.string(head.name(in: text)))] = place
            return true
        }
        places = found
    }

    private mutating func append(_ quoted: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, isCompact: Bool) {
        write(quoted, value, isCompact: isCompact)
        count += 1
    }

    private mutating func write(_ quoted: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, isCompact: Bool) {
        let start = records.count
        var head = Head(nameCount: UInt32(quoted.count), valueCount: UInt32(value.count))
        // Of the first alone: a list that grows by just what it needs is copied for each.
        if start == 0 { records.reserveCapacity(head.end) }
        withUnsafeBytes(of: (head.nameCount, head.valueCount)) { records.append(contentsOf: $0) }
        records.append(0)
        records.append(UInt8(ascii: ","))
        records.append(contentsOf: quoted)
        records.append(UInt8(ascii: ":"))
        guard !isCompact, JSONText.mayHaveWhitespace(value) else { return records.append(contentsOf: value) }
        let before = records.count
        JSONText.compact(value) { records.append($0) }
        head.valueCount = UInt32(records.count - before)
        records.withUnsafeMutableBytes { Self.store(head, at: start, in: $0) }
    }

    // MARK: Names

    /// Calls `body` with the name as a JSON string.
    private static func withQuoted<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        JSONWriter.text { $0.string(name) }.withUnsafeBytes(body)
    }

    private static func string(_ quoted: UnsafeRawBufferPointer) -> String {
        var reader = JSONReader(quoted, isLimited: false)
        // It was written by a writer, or read as a string.
        return (try? reader.readString()) ?? ""
    }
}

extension JSONWriter {
    public mutating func members(_ members: JSONMembers) { members.visitTexts { member($0) } }
}
