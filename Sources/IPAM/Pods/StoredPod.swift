import Addressing
import TandemAPI

/// A Pod's allocation as it was last committed. Immutable, and small, since there may be a million: one block of memory
/// that holds the parts that can't be made from the rest, some 200 bytes; a document of the plain form is written anew when it is asked
/// for.
struct StoredPod: @unchecked Sendable {
    // Proof: the block is filled before `init` returns and never changes after, but for its version, which `stamp` sets once
    // before the pod is shown to any reader.
    private let block: Block

    /// The header in front of the bytes. Those are, one behind the other: the identity, `namespace/name`, the uid, the addresses,
    /// and the time of creation where the document is plain, else the document.
    struct Header {
        fileprivate let node: NodeIncarnation
        fileprivate var version: UInt64
        fileprivate let parts: Parts
    }

    typealias Block = ManagedBuffer<Header, UInt8>

    /// Apart from the node, so that to look at them counts no reference to it.
    fileprivate struct Parts {
        let identityCount: UInt32
        let namespaceCount: UInt32
        let nameKeyCount: UInt32
        let uidCount: UInt32
        let textCount: UInt32
        let addressCount: UInt16
        let forms: Forms
    }

    /// Which parts are not kept as they are, and further facts.
    fileprivate struct Forms: OptionSet {
        let rawValue: UInt8
        /// The identity is a `PackedText.containerKey`.
        fileprivate static let packedIdentity = Forms(rawValue: 1)
        /// The uid is a `PackedText.uuid`.
        fileprivate static let packedUID = Forms(rawValue: 2)
        /// The document is plain, and the time of creation a `PackedText.timestamp`.
        fileprivate static let plain = Forms(rawValue: 4)
        /// The uid came from a client; else Tandem made it.
        fileprivate static let givenUID = Forms(rawValue: 8)
        /// Its key in the log names no node.
        fileprivate static let oldKey = Forms(rawValue: 16)
    }

    /// From the stored form: `read` is the parsed `document`.
    init(
        _ identity: UnsafeRawBufferPointer, on node: NodeIncarnation, addresses: [IPAddress], version: UInt64,
        document: UnsafeRawBufferPointer, read: ReadPod, isUIDGiven: Bool, hasOldKey: Bool
    ) {
        var forms: Forms = isUIDGiven ? .givenUID : []
        if hasOldKey { forms.insert(.oldKey) }
        switch read {
        case .plain(let text):
            let created = text.shows(node.name, addresses) ? text.created : nil
            self.init(
                identity, node, addresses, version, text.namespace, text.name, text.uid, created, document, forms)
        case .other(let pod):
            let document = Documents.withoutVersion(document)
            self.init(identity, node, addresses, version, pod.metadata, nil, document, forms)
        }
    }

    /// For a new object: `document` is `pod` as text.
    init(
        _ identity: PodIdentity, on node: NodeIncarnation, addresses: [IPAddress], _ pod: Pod, document: [UInt8],
        isUIDGiven: Bool
    ) {
        let created = pod.isPlain ? pod.metadata.creationTimestamp : nil
        var key = identity.key
        self = key.withUTF8 { key in
            StoredPod(
                UnsafeRawBufferPointer(key), node, addresses, 0, pod.metadata, created, document,
                isUIDGiven ? .givenUID : [])
        }
    }

    private init(
        _ identity: UnsafeRawBufferPointer, _ node: NodeIncarnation, _ addresses: [IPAddress], _ version: UInt64,
        _ metadata: ObjectMeta, _ created: String?, _ document: [UInt8], _ forms: Forms
    ) {
        var (namespace, name, uid, created) = (metadata.namespace, metadata.name, metadata.uid ?? "", created)
        self = namespace.withUTF8 { namespace in
            name.withUTF8 { name in
                uid.withUTF8 { uid in
                    document.withUnsafeBytes { document in
                        func make(_ created: UnsafeRawBufferPointer?) -> StoredPod {
                            StoredPod(
                                identity, node, addresses, version, UnsafeRawBufferPointer(namespace),
                                UnsafeRawBufferPointer(name), UnsafeRawBufferPointer(uid), created, document, forms)
                        }
                        return created?.withUTF8 { make(UnsafeRawBufferPointer($0)) } ?? make(nil)
                    }
                }
            }
        }
    }

    /// `created` where the document is plain.
    private init(
        _ identity: UnsafeRawBufferPointer, _ node: NodeIncarnation, _ addresses: [IPAddress], _ version: UInt64,
        _ namespace: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer, _ uid: UnsafeRawBufferPointer,
        _ created: UnsafeRawBufferPointer?, _ document: UnsafeRawBufferPointer, _ forms: Forms
    ) {
        block = withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { packed in
            // Room for the three: 32, 16 and 7 bytes.
            let start = packed.baseAddress!
            let packedIdentity = PackedText.containerKey.pack(identity, into: start)
            let packedUID = PackedText.uuid.pack(uid, into: start + 32)
            let packedTime = created.flatMap { PackedText.timestamp.pack($0, into: start + 48) }
            var forms = forms
            if packedIdentity != nil { forms.insert(.packedIdentity) }
            if packedUID != nil { forms.insert(.packedUID) }
            if packedTime != nil { forms.insert(.plain) }
            func make(_ text: UnsafeRawBufferPointer) -> Block {
                Self.makeBlock(
                    packedIdentity ?? identity, node, addresses, version, namespace, name, packedUID ?? uid, text,
                    forms)
            }
            // A plain form whose time can't be packed is kept whole, in today's form.
            if let packedTime { return make(packedTime) }
            return Documents.withoutVersion(document).withUnsafeBytes { make($0) }
        }
    }

    private static func makeBlock(
        _ identity: UnsafeRawBufferPointer, _ node: NodeIncarnation, _ addresses: [IPAddress], _ version: UInt64,
        _ namespace: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer, _ uid: UnsafeRawBufferPointer,
        _ text: UnsafeRawBufferPointer, _ forms: Forms
    ) -> Block {
        let header = Header(
            node: node, version: version,
            parts: Parts(
                identityCount: UInt32(identity.count), namespaceCount: UInt32(namespace.count),
                nameKeyCount: UInt32(namespace.count + 1 + name.count), uidCount: UInt32(uid.count),
                textCount: UInt32(text.count), addressCount: UInt16(addresses.count), forms: forms))
        let addressBytes = addresses.reduce(0) { $0 + 1 + $1.byteCount }
        let count = identity.count + Int(header.parts.nameKeyCount) + uid.count + addressBytes + text.count
        let block = Block.create(minimumCapacity: count) { _ in header }
        block.withUnsafeMutablePointerToElements { start in
            // In memory of `count` bytes: the sum of the appended parts.
            var end = UnsafeMutableRawPointer(start)
            func append(_ bytes: UnsafeRawBufferPointer) {
                guard let base = bytes.baseAddress else { return }
                end.copyMemory(from: base, byteCount: bytes.count)
                end += bytes.count
            }
            append(identity)
            append(namespace)
            withUnsafeBytes(of: UInt8(ascii: "/"), append)
            append(name)
            append(uid)
            for address in addresses {
                withUnsafeBytes(of: address.family.rawValue, append)
                if address.family == .ipv6 { withUnsafeBytes(of: address.high, append) }
                withUnsafeBytes(of: address.low) {
                    append(UnsafeRawBufferPointer(rebasing: $0[..<min(8, address.byteCount)]))
                }
            }
            append(text)
        }
        return block
    }

    /// The version that `Books.apply` gives it, before it is shown to any reader.
    func stamp(_ version: UInt64) {
        block.withUnsafeMutablePointerToHeader { $0.pointee.version = version }
    }

    // MARK: Its parts

    @inline(__always)
    private var parts: Parts { block.withUnsafeMutablePointerToHeader { $0.pointee.parts } }

    /// The incarnation of the node that it is on.
    var incarnation: NodeIncarnation { block.header.node }
    var version: UInt64 { block.header.version }
    var isUIDGiven: Bool { parts.forms.contains(.givenUID) }
    /// Its key in the log names no node.
    var hasOldKey: Bool { parts.forms.contains(.oldKey) }
    /// As the log and the tables know it.
    var key: String {
        let identity = withIdentity { String(decoding: $0, as: UTF8.self) }
        return hasOldKey ? identity : PodKey.text(incarnation.name, identity)
    }
    var identity: PodIdentity {
        let key = withIdentity { String(decoding: $0, as: UTF8.self) }
        return PodIdentity(key: key) ?? PodIdentity(origin: key, ifName: "")
    }
    var nameKey: String { withNameKey { String(decoding: $0, as: UTF8.self) } }
    var namespace: String {
        with(parts.identityCount, parts.namespaceCount) { String(decoding: $0, as: UTF8.self) }
    }
    var name: String {
        let parts = parts
        return with(parts.identityCount + parts.namespaceCount + 1, parts.nameKeyCount - parts.namespaceCount - 1) {
            String(decoding: $0, as: UTF8.self)
        }
    }
    var uid: String { withUID { String(decoding: $0, as: UTF8.self) } }
    var owner: Owner { Owner(.pod, namespace: namespace, name: name, uid: uid) }

    /// The object as it is served. O(length).
    var served: [UInt8] {
        let version = version
        return isPlain ? plainText(version) : withText { Documents.served(Array($0), version) }
    }

    /// The object as it is stored. O(length).
    var document: [UInt8] { isPlain ? plainText(nil) : withText { Array($0) } }

    private var isPlain: Bool { parts.forms.contains(.plain) }

    private func plainText(_ version: UInt64?) -> [UInt8] {
        with(parts.identityCount, parts.namespaceCount) { namespace in
            withNameKey { nameKey in
                withUID { uid in
                    withText { packed in
                        PackedText.timestamp.withText(of: packed) { created in
                            PodText.write(
                                namespace: namespace, name: nameKey.dropFirst(namespace.count + 1), uid: uid,
                                version: version, created: created, nodeName: incarnation.name.utf8,
                                addresses: addresses)
                        }
                    }
                }
            }
        }
    }

    /// Of its block, in bytes, without the fixed header.
    var byteCount: Int {
        let parts = parts
        return Int(parts.identityCount + parts.nameKeyCount + parts.uidCount + parts.textCount)
            + 17 * Int(parts.addressCount)
    }

    var addressCount: Int { Int(parts.addressCount) }

    var addresses: [IPAddress] {
        var addresses: [IPAddress] = []
        addresses.reserveCapacity(addressCount)
        visitAddresses { addresses.append($0) }
        return addresses
    }

    /// Each of `addresses`, without a list of them.
    @inline(__always)
    func visitAddresses(_ body: (IPAddress) -> Void) {
        let parts = parts
        block.withUnsafeMutablePointerToElements { start in
            // Inside the block: `init` wrote as many as the header says.
            var place = UnsafeRawPointer(start) + Int(parts.identityCount + parts.nameKeyCount + parts.uidCount)
            for _ in 0..<parts.addressCount {
                if place.load(as: UInt8.self) == IPFamily.ipv4.rawValue {
                    body(IPAddress(family: .ipv4, bits: UInt128((place + 1).loadUnaligned(as: UInt32.self))))
                    place += 5
                } else {
                    let high = (place + 1).loadUnaligned(as: UInt64.self)
                    let low = (place + 9).loadUnaligned(as: UInt64.self)
                    body(IPAddress(family: .ipv6, bits: UInt128(high) << 64 | UInt128(low)))
                    place += 17
                }
            }
        }
    }

    /// `PodIdentity.origin`: the identity up to its last slash.
    func withOrigin<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withIdentity { identity in body(UnsafeRawBufferPointer(rebasing: identity[..<Self.originCount(identity)])) }
    }

    static func originCount(_ identity: UnsafeRawBufferPointer) -> Int {
        identity.lastIndex(of: UInt8(ascii: "/")) ?? identity.count
    }

    /// `PodIdentity.key`.
    func withIdentity<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        with(0, parts.identityCount) { identity in
            parts.forms.contains(.packedIdentity)
                ? PackedText.containerKey.withText(of: identity, body) : body(identity)
        }
    }

    func withNameKey<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        with(parts.identityCount, parts.nameKeyCount, body)
    }

    private func withUID<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        with(parts.identityCount + parts.nameKeyCount, parts.uidCount) { uid in
            parts.forms.contains(.packedUID) ? PackedText.uuid.withText(of: uid, body) : body(uid)
        }
    }

    private func withText<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let parts = parts
        var addressBytes: UInt32 = 0
        visitAddresses { addressBytes += 1 + UInt32($0.byteCount) }
        return with(
            parts.identityCount + parts.nameKeyCount + parts.uidCount + addressBytes, parts.textCount, body)
    }

    @inline(__always)
    private func with<Result>(
        _ start: UInt32, _ count: UInt32, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        // Inside the block, by the header's counts; the block lives for as long as the closure runs.
        block.withUnsafeMutablePointerToElements {
            body(UnsafeRawBufferPointer(start: $0 + Int(start), count: Int(count)))
        }
    }

    /// As a bare word with a reference of its own, which is the receiver's to give up by `init(taking:)`: work on a million pods
    /// counts no references, each of which would touch the pod's memory.
    var lent: Unmanaged<Block> { Unmanaged.passRetained(block) }

    /// Takes over a reference of `lent`, once.
    init(taking lent: Unmanaged<Block>) {
        // A pod is one reference, and the word becomes it: `takeRetainedValue` would count one up and one down.
        var word = lent
        self = withUnsafeMutableBytes(of: &word) { $0.assumingMemoryBound(to: StoredPod.self).baseAddress!.move() }
    }

    /// From a reference of `lent`, which stays lent.
    init(lookingAt lent: Unmanaged<Block>) { block = lent.takeUnretainedValue() }

    /// The same block: the same incarnation of the same allocation.
    static func === (left: StoredPod, right: StoredPod) -> Bool { left.block === right.block }
}

/// A Pod's document, read as far as the books need it.
enum ReadPod {
    /// Lives as long as the document's bytes.
    case plain(PodText)
    case other(Pod)

    init(_ document: UnsafeRawBufferPointer) throws(APIError) {
        if let text = PodText(document) {
            self = .plain(text)
        } else {
            self = .other(
                try Documents.decode(Array(document)) { reader throws(JSONError) in try Pod(from: &reader) })
        }
    }

    func withNodeName<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        switch self {
        case .plain(let text): return body(text.nodeName)
        case .other(let pod):
            var name = pod.nodeName
            return name.withUTF8 { body(UnsafeRawBufferPointer($0)) }
        }
    }
}

extension Pod {
    /// Only members that the engine fills in, and no text that JSON writes with an escape.
    fileprivate var isPlain: Bool {
        !podIPs.isEmpty && others.isEmpty && specOthers.isEmpty && statusOthers.isEmpty && metadata.others.isEmpty
            && (metadata.uid ?? "").utf8.allSatisfy {
                $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
            }
    }
}

extension IPAddress {
    fileprivate var byteCount: Int { family == .ipv4 ? 4 : 16 }
}
