import Addressing

/// The form of an entry, wherever it lies: proposals one behind the other, each behind its length, so that each can be judged, or
/// passed over, alone.
///
/// Layout, little-endian, with numbers as `EntryBytes` has them: format (1 byte), then for each proposal its length, the count
/// of its expectations, these, the count of its changes, these. Each of them begins with its tag (1 byte); keys, names,
/// documents and contexts stand behind their lengths. In a row of the journal a checksum (8 bytes) over all before it closes the
/// entry, so that a page that was damaged on the disk is noticed and never taken for a proposal.
///
/// Each proposal has exactly one form. Decoding is total: whatever the bytes, it takes a time and memory that grow as their
/// number, and gives proposals or nil.
public enum EntryCoding {
    /// The first byte of an entry. Journals of earlier releases have rows of format 1.
    public static let format: UInt8 = 2

    /// Exactly the length of `encode`'s result. O(changes and holdings).
    public static func encodedBytes(_ proposals: ArraySlice<Proposal>, isSealed: Bool = false) -> Int {
        proposals.reduce(1 + (isSealed ? EntryBytes.checksumBytes : 0)) { $0 + $1.encodedBytes }
    }

    /// The proposals in their order; with a checksum where `isSealed`. O(bytes).
    public static func encode(_ proposals: ArraySlice<Proposal>, isSealed: Bool = false) -> [UInt8] {
        let sizes = Sizes(proposals)
        let size = sizes.total + (isSealed ? EntryBytes.checksumBytes : 0)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, written in
            var writer = ByteWriter(buffer)
            encode(proposals, sizes, to: &writer)
            if isSealed { writer.seal() }
            written = writer.count
            assert(written == size)
        }
    }

    /// The length of an entry and its proposals, without a checksum.
    struct Sizes {
        fileprivate let bodies: [Int]
        let total: Int

        init(_ proposals: ArraySlice<Proposal>) {
            bodies = proposals.map(\.bodyBytes)
            total = bodies.reduce(1) { $0 + EntryBytes.bytes(ofRun: $1) }
        }
    }

    /// Into the memory of the caller, of `sizes.total` bytes at least; `sizes` is of the same proposals.
    static func encode(_ proposals: ArraySlice<Proposal>, _ sizes: Sizes, to writer: inout ByteWriter) {
        writer.put(format)
        for (proposal, body) in zip(proposals, sizes.bodies) { writer.put(proposal, body) }
    }

    /// How many proposals `decode` gives, by their lengths alone; 0 where the bytes are no entry. O(proposals).
    public static func count(_ bytes: UnsafeRawBufferPointer) -> Int {
        var reader = ByteReader(bytes)
        guard reader.byte() == format else { return 0 }
        var count = 0
        while !reader.isAtEnd {
            guard reader.run() != nil else { return 0 }
            count += 1
        }
        return count
    }

    /// nil where the bytes are not a result of `encode`. O(bytes).
    public static func decode(_ bytes: UnsafeRawBufferPointer, isSealed: Bool = false) -> [Proposal]? {
        guard let entry = isSealed ? EntryBytes.unsealed(bytes) : bytes else { return nil }
        var reader = ByteReader(entry)
        guard reader.byte() == format else { return nil }
        var proposals: [Proposal] = []
        while !reader.isAtEnd {
            guard let body = reader.run(), let proposal = Proposal(body) else { return nil }
            proposals.append(proposal)
        }
        return proposals
    }
}

extension Proposal {
    /// Its bytes in an entry, its length included. O(expectations, changes and holdings).
    public var encodedBytes: Int { EntryBytes.bytes(ofRun: bodyBytes) }

    fileprivate var bodyBytes: Int {
        EntryBytes.bytes(ofCount: expectations.count) + expectations.reduce(0) { $0 + $1.encodedBytes }
            + EntryBytes.bytes(ofCount: changes.count) + changes.reduce(0) { $0 + $1.encodedBytes }
    }

    /// The body behind the length; nil where it is none.
    fileprivate init?(_ body: UnsafeRawBufferPointer) {
        var reader = ByteReader(body)
        self.init([])
        // An expectation, like a change, has a tag and one byte more at least.
        guard let expected = reader.count(of: 2) else { return nil }
        expectations.reserveCapacity(expected)
        for _ in 0..<expected {
            guard let expectation = reader.expectation() else { return nil }
            expectations.append(expectation)
        }
        guard let changed = reader.count(of: 2) else { return nil }
        changes.reserveCapacity(changed)
        for _ in 0..<changed {
            guard let change = reader.change() else { return nil }
            changes.append(change)
        }
        guard reader.isAtEnd else { return nil }
    }
}

extension FoldStep {
    /// The next proposals, those of an entry, but for the ones that are not kept. Returns how many there are; nil where the bytes are not a
    /// result of `EntryCoding.encode`, and then the step is of no use. The texts of objects that are put, and of expectations, are not
    /// looked at: they were when the entry was written, or read by a start. O(bytes).
    mutating func add(_ entry: UnsafeRawBufferPointer, where isKept: (_ index: Int) -> Bool) -> Int? {
        let start = bytes.count
        bytes.append(contentsOf: entry)
        var reader = ByteReader(entry)
        guard reader.byte() == EntryCoding.format else { return nil }
        var index = 0
        while !reader.isAtEnd {
            guard let body = reader.place() else { return nil }
            if isKept(index) {
                var reader = ByteReader(entry, body)
                guard let expected = reader.count(of: 2) else { return nil }
                for _ in 0..<expected {
                    guard reader.skipExpectation() else { return nil }
                }
                guard let changed = reader.count(of: 2) else { return nil }
                for _ in 0..<changed {
                    guard addChange(&reader, start) else { return nil }
                }
                guard reader.isAtEnd else { return nil }
            }
            index += 1
        }
        return index
    }

    /// The texts of an object that is put stay where they are, in the copy of the entry behind `start`.
    private mutating func addChange(_ reader: inout ByteReader, _ start: Int) -> Bool {
        func place(_ range: Range<Int>) -> Range<Int> { start + range.lowerBound..<start + range.upperBound }
        guard reader.isAt(ChangeTag.put.rawValue) else {
            guard let change = reader.change() else { return false }
            add(change)
            return true
        }
        let first = holdings.count
        guard reader.byte() != nil, let kind = reader.byte().flatMap(RecordKind.init), let key = reader.place(),
            let document = reader.place(), let context = reader.place(), reader.holdings(into: &holdings)
        else { return false }
        put(
            Name(kind: kind, key: place(key)),
            Form(document: place(document), context: place(context), holdings: first..<holdings.count))
        return true
    }
}

private enum ExpectationTag: UInt8 {
    case absent = 1
    case unchanged = 2
    case incarnation = 3
    case nodeEmpty = 4
}

private enum ChangeTag: UInt8 {
    case put = 1
    case delete = 2
    case cool = 3
    case thaw = 4
    case markReleasing = 5
}

/// A holding's tag is its pool, or this and more for a port's protocol.
private let portTag: UInt8 = 0x80

/// A range's length and family in one byte: an IPv4 range has its length, an IPv6 range this much more.
private let ipv6Length: UInt8 = 64

// MARK: Sizes

extension ObjectKey {
    fileprivate var encodedBytes: Int { 1 + EntryBytes.bytes(ofRun: key.utf8.count) }
}

extension CIDR {
    fileprivate var encodedBytes: Int { 1 + family.addressBits / 8 }
}

extension Holding {
    fileprivate var encodedBytes: Int {
        switch self {
        case .range(_, let range): 1 + range.encodedBytes
        case .port: 1 + 2
        }
    }
}

extension Expectation {
    fileprivate var encodedBytes: Int {
        switch self {
        case .absent(let key): 1 + key.encodedBytes
        case .unchanged(let key, let version): 1 + key.encodedBytes + EntryBytes.bytes(of: version)
        case .incarnation(let node, let created):
            1 + EntryBytes.bytes(ofRun: node.utf8.count) + EntryBytes.bytes(of: created)
        case .nodeEmpty(let node): 1 + EntryBytes.bytes(ofRun: node.utf8.count)
        }
    }
}

extension Change {
    fileprivate var encodedBytes: Int {
        switch self {
        case .put(let key, let form):
            form.holdings.reduce(
                1 + key.encodedBytes + EntryBytes.bytes(ofRun: form.document.count)
                    + EntryBytes.bytes(ofRun: form.context.count) + EntryBytes.bytes(ofCount: form.holdings.count)
            ) { $0 + $1.encodedBytes }
        case .delete(let key): 1 + key.encodedBytes
        case .cool(let range, let node, let since):
            1 + range.encodedBytes + EntryBytes.bytes(ofRun: node.utf8.count) + EntryBytes.bytes(of: folded(since))
        case .thaw(let range, let version): 1 + range.encodedBytes + EntryBytes.bytes(of: version)
        case .markReleasing(let node): 1 + EntryBytes.bytes(ofRun: node.utf8.count)
        }
    }
}

/// A number with its sign in the lowest bit, so that small ones stay small.
private func folded(_ number: Int) -> UInt64 { UInt64(bitPattern: Int64(number << 1 ^ number >> 63)) }

private func unfolded(_ number: UInt64) -> Int { Int(Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)) }

// MARK: Writing

extension ByteWriter {
    fileprivate mutating func put(_ proposal: Proposal, _ bodyBytes: Int) {
        putCount(bodyBytes)
        putCount(proposal.expectations.count)
        for expectation in proposal.expectations { put(expectation) }
        putCount(proposal.changes.count)
        for change in proposal.changes { put(change) }
    }

    private mutating func put(_ expectation: Expectation) {
        switch expectation {
        case .absent(let key):
            put(ExpectationTag.absent.rawValue)
            put(key)
        case .unchanged(let key, let version):
            put(ExpectationTag.unchanged.rawValue)
            put(key)
            putNumber(version)
        case .incarnation(let node, let created):
            put(ExpectationTag.incarnation.rawValue)
            putText(node)
            putNumber(created)
        case .nodeEmpty(let node):
            put(ExpectationTag.nodeEmpty.rawValue)
            putText(node)
        }
    }

    private mutating func put(_ change: Change) {
        switch change {
        case .put(let key, let form):
            put(ChangeTag.put.rawValue)
            put(key)
            putRun(form.document)
            putRun(form.context)
            putCount(form.holdings.count)
            for holding in form.holdings { put(holding) }
        case .delete(let key):
            put(ChangeTag.delete.rawValue)
            put(key)
        case .cool(let range, let node, let since):
            put(ChangeTag.cool.rawValue)
            put(range)
            putText(node)
            putNumber(folded(since))
        case .thaw(let range, let version):
            put(ChangeTag.thaw.rawValue)
            put(range)
            putNumber(version)
        case .markReleasing(let node):
            put(ChangeTag.markReleasing.rawValue)
            putText(node)
        }
    }

    private mutating func put(_ key: ObjectKey) {
        put(key.kind.rawValue)
        putText(key.key)
    }

    private mutating func put(_ holding: Holding) {
        switch holding {
        case .range(let pool, let range):
            put(pool.rawValue)
            put(range)
        case .port(let transport, let number):
            put(portTag | transport.rawValue)
            put(number)
        }
    }

    private mutating func put(_ range: CIDR) {
        let length = UInt8(range.prefixLength)
        if range.family == .ipv4 {
            put(length)
            put(UInt32(truncatingIfNeeded: range.network.low))
        } else {
            put(ipv6Length + length)
            put(range.network.bits)
        }
    }
}

// MARK: Reading

extension ByteReader {
    fileprivate mutating func expectation() -> Expectation? {
        switch byte().flatMap(ExpectationTag.init) {
        case .absent: key().map { .absent($0) }
        case .unchanged: key().flatMap { key in number().map { .unchanged(key, version: $0) } }
        case .incarnation: text().flatMap { node in number().map { .incarnation(node: node, created: $0) } }
        case .nodeEmpty: text().map { .nodeEmpty($0) }
        case nil: nil
        }
    }

    /// Whether there was one, as far as its form goes: no name is looked at.
    fileprivate mutating func skipExpectation() -> Bool {
        switch byte().flatMap(ExpectationTag.init) {
        case .absent: byte() != nil && run() != nil
        case .unchanged: byte() != nil && run() != nil && number() != nil
        case .incarnation: run() != nil && number() != nil
        case .nodeEmpty: run() != nil
        case nil: false
        }
    }

    fileprivate mutating func change() -> Change? {
        switch byte().flatMap(ChangeTag.init) {
        case .put:
            guard let key = key(), let form = form() else { return nil }
            return .put(key, form)
        case .delete: return key().map { .delete($0) }
        case .cool:
            guard let range = range(), let node = text(), let since = number() else { return nil }
            return .cool(range, node: node, since: unfolded(since))
        case .thaw: return range().flatMap { range in number().map { .thaw(range, version: $0) } }
        case .markReleasing: return text().map { .markReleasing(node: $0) }
        case nil: return nil
        }
    }

    private mutating func key() -> ObjectKey? {
        guard let kind = byte().flatMap(RecordKind.init), let key = text() else { return nil }
        return ObjectKey(kind, key)
    }

    private mutating func form() -> StoredForm? {
        var holdings: [Holding] = []
        guard let document = run(), let context = run(), self.holdings(into: &holdings) else { return nil }
        return StoredForm(document: Array(document), context: Array(context), holdings: holdings)
    }

    /// Whether there were as many as it says.
    fileprivate mutating func holdings(into holdings: inout [Holding]) -> Bool {
        // The shortest is a port.
        guard let count = count(of: 3) else { return false }
        // Not of a list that grows: it would be copied for each object.
        if holdings.isEmpty { holdings.reserveCapacity(count) }
        for _ in 0..<count {
            guard let holding = holding() else { return false }
            holdings.append(holding)
        }
        return true
    }

    private mutating func holding() -> Holding? {
        guard let tag = byte() else { return nil }
        if let pool = Holding.Pool(rawValue: tag) { return range().map { .range(pool, $0) } }
        guard tag & portTag != 0, let transport = TransportProtocol(rawValue: tag & ~portTag) else { return nil }
        return integer(UInt16.self).map { .port(transport, $0) }
    }

    /// nil also where a bit below the prefix is set: each range has one form.
    private mutating func range() -> CIDR? {
        guard let length = byte() else { return nil }
        if length < ipv6Length {
            return integer(UInt32.self).flatMap {
                CIDR(network: IPAddress(family: .ipv4, bits: UInt128($0)), prefixLength: Int(length))
            }
        }
        return integer(UInt128.self).flatMap {
            CIDR(network: IPAddress(family: .ipv6, bits: $0), prefixLength: Int(length - ipv6Length))
        }
    }
}
