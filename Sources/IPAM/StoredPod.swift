import Addressing
import TandemAPI

/// A Pod's allocation as it was last committed. Immutable, and small, since there may be a million: one block of memory
/// that holds what can't be made from the rest, some 200 bytes; a document of the plain form is written anew when it is asked
/// for.
struct StoredPod: @unchecked Sendable {
    // Proof: the block is filled before `init` returns and never changes after.
    private let block: ManagedBuffer<Header, UInt8>

    /// What stands in front of the bytes. Those are, one behind the other: the identity's key, `namespace/name`, the uid,
    /// the addresses, and the time of creation where the document is plain, else the document.
    private struct Header {
        let node: StoredNode
        let version: UInt64
        let keyCount: UInt32
        let namespaceCount: UInt32
        let nameKeyCount: UInt32
        let uidCount: UInt32
        let textCount: UInt32
        let addressCount: UInt16
        let forms: Forms
    }

    /// Which parts are not kept as they are.
    private struct Forms: OptionSet {
        let rawValue: UInt8
        /// The key is a `PackedText.containerKey`.
        static let packedKey = Forms(rawValue: 1)
        /// The uid is a `PackedText.uuid`.
        static let packedUID = Forms(rawValue: 2)
        /// The document is plain, and the time of creation a `PackedText.timestamp`.
        static let plain = Forms(rawValue: 4)
    }

    /// `key` is the identity's; `read` what was read of `document`.
    init(
        key: UnsafeRawBufferPointer, on node: StoredNode, addresses: [IPAddress], version: UInt64,
        document: UnsafeRawBufferPointer, read: ReadPod
    ) {
        switch read {
        case .plain(let text):
            let created = text.isWritten(version, node.name, addresses) ? text.created : nil
            self.init(key, node, addresses, version, text.namespace, text.name, text.uid, created, document)
        case .other(let pod):
            var (namespace, name, uid) = (pod.metadata.namespace, pod.metadata.name, pod.metadata.uid ?? "")
            self = namespace.withUTF8 { namespace in
                name.withUTF8 { name in
                    uid.withUTF8 { uid in
                        StoredPod(
                            key, node, addresses, version, UnsafeRawBufferPointer(namespace),
                            UnsafeRawBufferPointer(name), UnsafeRawBufferPointer(uid), nil, document)
                    }
                }
            }
        }
    }

    /// `created` where the document is plain.
    private init(
        _ key: UnsafeRawBufferPointer, _ node: StoredNode, _ addresses: [IPAddress], _ version: UInt64,
        _ namespace: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer, _ uid: UnsafeRawBufferPointer,
        _ created: UnsafeRawBufferPointer?, _ document: UnsafeRawBufferPointer
    ) {
        block = withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { packed in
            // Room for the three: 32, 16 and 7 bytes.
            let start = packed.baseAddress!
            let packedKey = PackedText.containerKey.pack(key, into: start)
            let packedUID = PackedText.uuid.pack(uid, into: start + 32)
            let packedTime = created.flatMap { PackedText.timestamp.pack($0, into: start + 48) }
            var forms: Forms = []
            if packedKey != nil { forms.insert(.packedKey) }
            if packedUID != nil { forms.insert(.packedUID) }
            if packedTime != nil { forms.insert(.plain) }
            return Self.makeBlock(
                packedKey ?? key, node, addresses, version, namespace, name, packedUID ?? uid,
                packedTime ?? document, forms)
        }
    }

    private static func makeBlock(
        _ key: UnsafeRawBufferPointer, _ node: StoredNode, _ addresses: [IPAddress], _ version: UInt64,
        _ namespace: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer, _ uid: UnsafeRawBufferPointer,
        _ text: UnsafeRawBufferPointer, _ forms: Forms
    ) -> ManagedBuffer<Header, UInt8> {
        let header = Header(
            node: node, version: version, keyCount: UInt32(key.count), namespaceCount: UInt32(namespace.count),
            nameKeyCount: UInt32(namespace.count + 1 + name.count), uidCount: UInt32(uid.count),
            textCount: UInt32(text.count), addressCount: UInt16(addresses.count), forms: forms)
        let addressBytes = addresses.reduce(0) { $0 + 1 + $1.byteCount }
        let count = key.count + Int(header.nameKeyCount) + uid.count + addressBytes + text.count
        let block = ManagedBuffer<Header, UInt8>.create(minimumCapacity: count) { _ in header }
        block.withUnsafeMutablePointerToElements { start in
            // In memory of `count` bytes: the sum of what is appended.
            var end = UnsafeMutableRawPointer(start)
            func append(_ bytes: UnsafeRawBufferPointer) {
                guard let base = bytes.baseAddress else { return }
                end.copyMemory(from: base, byteCount: bytes.count)
                end += bytes.count
            }
            append(key)
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

    init(
        _ identity: PodIdentity, on node: StoredNode, addresses: [IPAddress], version: UInt64, document: [UInt8]
    ) throws(APIError) {
        let key = Array(identity.key.utf8)
        self = try key.withUnsafeBufferPointer { key throws(APIError) in
            try document.withUnsafeBufferPointer { document throws(APIError) in
                let document = UnsafeRawBufferPointer(document)
                return StoredPod(
                    key: UnsafeRawBufferPointer(key), on: node, addresses: addresses, version: version,
                    document: document, read: try ReadPod(document))
            }
        }
    }

    // MARK: Its parts

    var node: StoredNode { block.header.node }
    var version: UInt64 { block.header.version }
    /// As it is in the ledger.
    var key: String { withKey { String(decoding: $0, as: UTF8.self) } }
    var identity: PodIdentity { PodIdentity(key: key) ?? PodIdentity(origin: key, ifName: "") }
    var nameKey: String { withNameKey { String(decoding: $0, as: UTF8.self) } }
    var namespace: String {
        with(block.header.keyCount, block.header.namespaceCount) { String(decoding: $0, as: UTF8.self) }
    }
    var name: String {
        let header = block.header
        return with(header.keyCount + header.namespaceCount + 1, header.nameKeyCount - header.namespaceCount - 1) {
            String(decoding: $0, as: UTF8.self)
        }
    }
    var uid: String { withUID { String(decoding: $0, as: UTF8.self) } }
    var owner: Owner { Owner(kind: "Pod", namespace: namespace, name: name, uid: uid) }

    /// The object as it is served: byte for byte what was stored. O(length).
    var document: [UInt8] {
        guard block.header.forms.contains(.plain) else { return withText { Array($0) } }
        return with(block.header.keyCount, block.header.namespaceCount) { namespace in
            withNameKey { nameKey in
                withUID { uid in
                    withText { packed in
                        PackedText.timestamp.withText(of: packed) { created in
                            PodText.write(
                                namespace: namespace, name: nameKey.dropFirst(namespace.count + 1), uid: uid,
                                version: version, created: created, nodeName: node.name.utf8, addresses: addresses)
                        }
                    }
                }
            }
        }
    }

    var addressCount: Int { Int(block.header.addressCount) }

    var addresses: [IPAddress] {
        let header = block.header
        return block.withUnsafeMutablePointerToElements { start in
            // Inside the block: `init` wrote as many as the header says.
            var place = UnsafeRawPointer(start) + Int(header.keyCount + header.nameKeyCount + header.uidCount)
            return (0..<header.addressCount).map { _ in
                let isIPv4 = place.load(as: UInt8.self) == IPFamily.ipv4.rawValue
                defer { place += isIPv4 ? 5 : 17 }
                if isIPv4 {
                    return IPAddress(family: .ipv4, bits: UInt128((place + 1).loadUnaligned(as: UInt32.self)))
                }
                return IPAddress(
                    family: .ipv6,
                    bits: UInt128((place + 1).loadUnaligned(as: UInt64.self)) << 64
                        | UInt128((place + 9).loadUnaligned(as: UInt64.self)))
            }
        }
    }

    /// `PodIdentity.origin`: the key up to its last slash.
    func withOrigin<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withKey { key in body(UnsafeRawBufferPointer(rebasing: key[..<Self.originCount(key)])) }
    }

    private static func originCount(_ key: UnsafeRawBufferPointer) -> Int {
        key.lastIndex(of: UInt8(ascii: "/")) ?? key.count
    }

    func withNameOrder<Result>(_ body: (PodNameOrder) -> Result) -> Result {
        withNameKey { body(PodNameOrder($0, version: version)) }
    }

    func withOriginOrder<Result>(_ body: (PodOriginOrder) -> Result) -> Result {
        withKey { key in body(PodOriginOrder(key, origin: Self.originCount(key))) }
    }

    func withKey<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        with(0, block.header.keyCount) { key in
            block.header.forms.contains(.packedKey) ? PackedText.containerKey.withText(of: key, body) : body(key)
        }
    }

    func withNameKey<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        with(block.header.keyCount, block.header.nameKeyCount, body)
    }

    private func withUID<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        with(block.header.keyCount + block.header.nameKeyCount, block.header.uidCount) { uid in
            block.header.forms.contains(.packedUID) ? PackedText.uuid.withText(of: uid, body) : body(uid)
        }
    }

    private func withText<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let header = block.header
        let addressBytes = addresses.reduce(0) { $0 + 1 + UInt32($1.byteCount) }
        return with(
            header.keyCount + header.nameKeyCount + header.uidCount + addressBytes, header.textCount, body)
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

    var nodeName: String {
        switch self {
        case .plain(let text): String(decoding: text.nodeName, as: UTF8.self)
        case .other(let pod): pod.nodeName
        }
    }
}

extension IPAddress {
    fileprivate var byteCount: Int { family == .ipv4 ? 4 : 16 }
}
