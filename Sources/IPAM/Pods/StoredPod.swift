import Addressing
import TandemAPI

/// A Pod's allocation as it was last committed. Immutable, and small, since there may be a million: one block of memory
/// that holds the parts that can't be made from the rest, some 130 bytes; a document of the plain form is written anew when it is asked
/// for.
struct StoredPod: @unchecked Sendable {
    // Proof: the block is filled before `init` returns and never changes after, but for its version, which `stamp` sets once
    // before the pod is shown to any reader.
    private let block: Block

    /// The header in front of the bytes. Those are, one behind the other: the identity, `namespace/name`, the uid, the rest of the document
    /// as its forms say, and the addresses.
    struct Header {
        fileprivate let node: NodeIncarnation
        fileprivate var version: UInt64
        fileprivate let parts: Parts
    }

    typealias Block = ManagedBuffer<Header, UInt8>

    /// Apart from the node, so that to look at them counts no reference to it. The counts are in bytes; they are 0 where one does not
    /// fit, and all stand in front of the other bytes then.
    fileprivate struct Parts {
        let identity: UInt8
        let namespace: UInt8
        let name: UInt8
        let uid: UInt8
        let text: UInt8
        let addresses: UInt8
        let forms: Forms
    }

    /// The counts, and where the bytes begin that they are of.
    fileprivate struct Counts {
        var start = 0
        var identity: Int
        var namespace: Int
        var name: Int
        var uid: Int
        var text: Int
        var addresses: Int

        static let wideCount = 6 * MemoryLayout<UInt32>.size

        var nameKey: Int { namespace + 1 + name }
        var identityStart: Int { start }
        var nameKeyStart: Int { start + identity }
        var uidStart: Int { nameKeyStart + nameKey }
        var textStart: Int { uidStart + uid }
        var addressStart: Int { textStart + text }

        var isWide: Bool { max(identity, namespace, name, uid, text, addresses) > Int(UInt8.max) }
    }

    /// Which parts are not kept as they are, and further facts.
    fileprivate struct Forms: OptionSet {
        let rawValue: UInt16
        /// The identity is a `PackedText.containerKey`.
        fileprivate static let packedIdentity = Forms(rawValue: 1)
        /// The uid is an `ObjectUID`.
        fileprivate static let packedUID = Forms(rawValue: 2)
        /// The document is plain: of it only the `CreationTime` of its creation is kept, and what further forms say. Else it is kept whole.
        fileprivate static let plain = Forms(rawValue: 4)
        /// The uid came from a client; else Tandem made it.
        fileprivate static let givenUID = Forms(rawValue: 8)
        /// Its key in the log names no node.
        fileprivate static let oldKey = Forms(rawValue: 16)
        /// The counts stand in front of the bytes.
        fileprivate static let wide = Forms(rawValue: 32)
        /// Behind the time of creation stand further members of the metadata, as they are.
        fileprivate static let members = Forms(rawValue: 64)
        /// The further members are a `PluginNote`, whose network stands behind the time of creation.
        fileprivate static let note = Forms(rawValue: 128)
        /// The network is the one that the node's pods share.
        fileprivate static let sharedNetwork = Forms(rawValue: 256)
    }

    /// The byte in front of each address.
    private enum AddressForm: UInt8 {
        case ipv4 = 4
        case ipv6 = 6
        /// The low half; the high one is the one that the node's pods share.
        case ipv6OfNode = 7

        var byteCount: Int {
            switch self {
            case .ipv4: 4
            case .ipv6: 16
            case .ipv6OfNode: 8
            }
        }

        init(_ address: IPAddress, on node: NodeIncarnation) {
            self = address.family == .ipv4 ? .ipv4 : node.shares(high: address.high) ? .ipv6OfNode : .ipv6
        }
    }

    /// The bytes of a plain document that are not in the other parts.
    private struct Rest {
        var created: CreationTime
        var members = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// From the stored form: `read` is the parsed `document`.
    init(
        _ identity: UnsafeRawBufferPointer, on node: NodeIncarnation, addresses: Few<IPAddress>, version: UInt64,
        document: UnsafeRawBufferPointer, read: ReadPod, isUIDGiven: Bool, hasOldKey: Bool
    ) {
        var forms: Forms = isUIDGiven ? .givenUID : []
        if hasOldKey { forms.insert(.oldKey) }
        switch read {
        case .plain(let text):
            // A plain form whose time is not a canonical one is kept whole.
            let created = text.shows(node.name, addresses) ? CreationTime(canonical: text.created) : nil
            self.init(
                identity, node, addresses, version, text.namespace, text.name, Written(utf8: text.uid),
                created.map { Rest(created: $0, members: text.members) }, document, forms)
        case .other(let pod):
            let document = Documents.withoutVersion(document)
            self = Self.make(identity, node, addresses, version, pod.metadata, nil, document, forms)
        }
    }

    /// For a new object: `document` is `pod` as text.
    init(
        _ identity: PodIdentity, on node: NodeIncarnation, addresses: Few<IPAddress>, _ pod: Pod, document: [UInt8],
        isUIDGiven: Bool
    ) {
        let created = pod.isPlain ? pod.metadata.creationTimestamp?.value : nil
        var key = identity.key
        self = key.withUTF8 { key in
            let key = UnsafeRawBufferPointer(key)
            guard pod.metadata.others.isEmpty else {
                return document.withUnsafeBytes { document in
                    StoredPod(
                        key, on: node, addresses: addresses, version: 0, document: document,
                        read: PodText(document).map(ReadPod.plain) ?? .other(pod), isUIDGiven: isUIDGiven,
                        hasOldKey: false)
                }
            }
            return Self.make(
                key, node, addresses, 0, pod.metadata, created, document, isUIDGiven ? .givenUID : [])
        }
    }

    /// `created` where the document is plain, without further members.
    private static func make(
        _ identity: UnsafeRawBufferPointer, _ node: NodeIncarnation, _ addresses: Few<IPAddress>, _ version: UInt64,
        _ metadata: ObjectMeta, _ created: CreationTime?, _ document: [UInt8], _ forms: Forms
    ) -> StoredPod {
        var (namespace, name) = (metadata.namespace, metadata.name)
        return namespace.withUTF8 { namespace in
            name.withUTF8 { name in
                document.withUnsafeBytes { document in
                    StoredPod(
                        identity, node, addresses, version, UnsafeRawBufferPointer(namespace),
                        UnsafeRawBufferPointer(name), metadata.uid ?? .empty, created.map { Rest(created: $0) },
                        document, forms)
                }
            }
        }
    }

    /// `rest` where the document is plain.
    private init(
        _ identity: UnsafeRawBufferPointer, _ node: NodeIncarnation, _ addresses: Few<IPAddress>, _ version: UInt64,
        _ namespace: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer, _ uid: Written<ObjectUID>,
        _ rest: Rest?, _ document: UnsafeRawBufferPointer, _ forms: Forms
    ) {
        block = withUnsafeTemporaryAllocation(byteCount: PackedText.containerKey.packedCount, alignment: 1) { packed in
            let packedIdentity = PackedText.containerKey.pack(identity, into: packed.baseAddress!)
            var forms = forms
            if packedIdentity != nil { forms.insert(.packedIdentity) }
            if uid.value != nil { forms.insert(.packedUID) }
            func make(_ time: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer) -> Block {
                uid.withBytes { uid in
                    Self.makeBlock(
                        packedIdentity ?? identity, node, addresses, version, namespace, name, uid, time, text, forms)
                }
            }
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            // Kept whole, in today's form.
            guard let rest else {
                return Documents.withoutVersion(document).withUnsafeBytes { make(nothing, $0) }
            }
            forms.insert(.plain)
            var text = rest.members
            if let network = PluginNote.network(in: text, of: identity) {
                forms.insert(.note)
                text = network
                if node.shares(network: network) {
                    forms.insert(.sharedNetwork)
                    text = nothing
                }
            } else if !text.isEmpty {
                forms.insert(.members)
            }
            return withUnsafeBytes(of: rest.created.seconds) { make($0, text) }
        }
    }

    /// `time` and `text` are one part.
    private static func makeBlock(
        _ identity: UnsafeRawBufferPointer, _ node: NodeIncarnation, _ addresses: Few<IPAddress>, _ version: UInt64,
        _ namespace: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer, _ uid: UnsafeRawBufferPointer,
        _ time: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, _ forms: Forms
    ) -> Block {
        var (counts, forms) = (
            Counts(
                identity: identity.count, namespace: namespace.count, name: name.count, uid: uid.count,
                text: time.count + text.count, addresses: addresses.count), forms
        )
        if counts.isWide {
            forms.insert(.wide)
            counts.start = Counts.wideCount
        }
        let header = Header(node: node, version: version, parts: Parts(counts, forms))
        let addressBytes = addresses.reduce(0) { $0 + 1 + AddressForm($1, on: node).byteCount }
        let block = Block.create(minimumCapacity: counts.addressStart + addressBytes) { _ in header }
        block.withUnsafeMutablePointerToElements { start in
            // In memory of that many bytes: the sum of the appended parts.
            var end = UnsafeMutableRawPointer(start)
            if counts.isWide {
                for count in [
                    counts.identity, counts.namespace, counts.name, counts.uid, counts.text, counts.addresses,
                ] {
                    withUnsafeBytes(of: UInt32(count)) { end.append($0) }
                }
            }
            end.append(identity)
            end.append(namespace)
            withUnsafeBytes(of: UInt8(ascii: "/")) { end.append($0) }
            end.append(name)
            end.append(uid)
            end.append(time)
            end.append(text)
            for address in addresses {
                let form = AddressForm(address, on: node)
                withUnsafeBytes(of: form.rawValue) { end.append($0) }
                if form == .ipv6 { withUnsafeBytes(of: address.high) { end.append($0) } }
                withUnsafeBytes(of: address.low) {
                    end.append(UnsafeRawBufferPointer(rebasing: $0[..<min(8, form.byteCount)]))
                }
            }
        }
        return block
    }

    /// The version that `Books.apply` gives it, before it is shown to any reader.
    func stamp(_ version: UInt64) {
        block.withUnsafeMutablePointerToHeader { $0.pointee.version = version }
    }

    // MARK: Its parts

    @inline(__always)
    private var forms: Forms { block.withUnsafeMutablePointerToHeader { $0.pointee.parts.forms } }

    @inline(__always)
    private var counts: Counts {
        block.withUnsafeMutablePointers { header, start in
            let parts = header.pointee.parts
            return parts.forms.contains(.wide) ? Counts(wide: UnsafeRawPointer(start)) : Counts(parts)
        }
    }

    /// The incarnation of the node that it is on.
    var incarnation: NodeIncarnation { block.header.node }
    var version: UInt64 { block.header.version }
    var isUIDGiven: Bool { forms.contains(.givenUID) }
    /// Its key in the log names no node.
    var hasOldKey: Bool { forms.contains(.oldKey) }
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
        let counts = counts
        return with(counts.nameKeyStart, counts.namespace) { String(decoding: $0, as: UTF8.self) }
    }
    var name: String {
        let counts = counts
        return with(counts.nameKeyStart + counts.namespace + 1, counts.name) { String(decoding: $0, as: UTF8.self) }
    }
    var uid: Written<ObjectUID> {
        let counts = counts
        return with(counts.uidStart, counts.uid) { Written(bytes: $0, isValue: forms.contains(.packedUID)) }
    }
    var owner: Owner { Owner(.pod, namespace: namespace, name: name, uid: uid.description) }

    /// The object as it is served. O(length).
    var served: [UInt8] {
        let version = version
        return isPlain ? plainText(version) : withText { Documents.served(Array($0), version) }
    }

    /// The object as it is stored. O(length).
    var document: [UInt8] { isPlain ? plainText(nil) : withText { Array($0) } }

    private var isPlain: Bool { forms.contains(.plain) }

    private func plainText(_ version: UInt64?) -> [UInt8] {
        let namespaceCount = counts.namespace
        var document: [UInt8] = []
        withNameKey { nameKey in
            uid.withText { uid in
                withText { text in
                    CreationTime(seconds: text.loadUnaligned(as: UInt32.self)).withText { created in
                        withMembers(UnsafeRawBufferPointer(rebasing: text[CreationTime.byteCount...])) { members in
                            document = PodText.write(
                                namespace: nameKey[..<namespaceCount], name: nameKey[(namespaceCount + 1)...],
                                uid: uid, version: version, created: created, members: members,
                                nodeName: incarnation.name.utf8, addresses: addresses)
                        }
                    }
                }
            }
        }
        return document
    }

    /// Further members of the metadata, in pieces. `kept` stands behind the time of creation.
    private func withMembers<Result>(
        _ kept: UnsafeRawBufferPointer, _ body: ([UnsafeRawBufferPointer]) -> Result
    ) -> Result {
        let forms = forms
        guard forms.contains(.note) else { return body(forms.contains(.members) ? [kept] : []) }
        return withIdentity { identity in
            guard forms.contains(.sharedNetwork) else { return body(PluginNote.members(of: identity, network: kept)) }
            var network = incarnation.sharedNetwork
            return network.withUTF8 {
                body(PluginNote.members(of: identity, network: UnsafeRawBufferPointer($0)))
            }
        }
    }

    /// Of its block, in bytes, without the fixed header; and of its document, where that is longer for a note.
    var byteCount: Int {
        let counts = counts
        return counts.textStart + counts.text + 17 * counts.addresses + (forms.contains(.note) ? 256 : 0)
    }

    /// For tests: of its block, in bytes, without the fixed header and the addresses.
    var keptByteCount: Int { counts.addressStart }

    var addressCount: Int { counts.addresses }

    var addresses: Few<IPAddress> {
        var addresses = Few<IPAddress>()
        visitAddresses { addresses.append($0) }
        return addresses
    }

    /// Each of `addresses`, without a list of them.
    @inline(__always)
    func visitAddresses(_ body: (IPAddress) -> Void) {
        let counts = counts
        block.withUnsafeMutablePointers { header, start in
            // Inside the block: `init` wrote as many as the count says.
            var place = UnsafeRawPointer(start) + counts.addressStart
            for _ in 0..<counts.addresses {
                let form = AddressForm(rawValue: place.load(as: UInt8.self))
                place += 1
                switch form {
                case .ipv4:
                    body(IPAddress(family: .ipv4, bits: UInt128(place.loadUnaligned(as: UInt32.self))))
                    place += 4
                case .ipv6OfNode:
                    let (high, low) = (header.pointee.node.sharedHigh, place.loadUnaligned(as: UInt64.self))
                    body(IPAddress(family: .ipv6, bits: UInt128(high) << 64 | UInt128(low)))
                    place += 8
                case .ipv6, nil:
                    let high = place.loadUnaligned(as: UInt64.self)
                    let low = place.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                    body(IPAddress(family: .ipv6, bits: UInt128(high) << 64 | UInt128(low)))
                    place += 16
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
        let counts = counts
        return with(counts.identityStart, counts.identity) { identity in
            forms.contains(.packedIdentity) ? PackedText.containerKey.withText(of: identity, body) : body(identity)
        }
    }

    func withNameKey<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let counts = counts
        return with(counts.nameKeyStart, counts.nameKey, body)
    }

    private func withText<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let counts = counts
        return with(counts.textStart, counts.text, body)
    }

    @inline(__always)
    private func with<Result>(_ start: Int, _ count: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        // Inside the block, by its counts; the block lives for as long as the closure runs.
        block.withUnsafeMutablePointerToElements {
            body(UnsafeRawBufferPointer(start: $0 + start, count: count))
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
            && metadata.uid?.isPlain ?? false
    }
}

extension Written where Value == ObjectUID {
    /// Without an escape in JSON.
    fileprivate var isPlain: Bool {
        guard case .other(let text) = self else { return true }
        return text.utf8.allSatisfy { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    }
}

extension StoredPod.Parts {
    fileprivate init(_ counts: StoredPod.Counts, _ forms: StoredPod.Forms) {
        func byte(_ count: Int) -> UInt8 { UInt8(exactly: count) ?? 0 }
        identity = byte(counts.identity)
        namespace = byte(counts.namespace)
        name = byte(counts.name)
        uid = byte(counts.uid)
        text = byte(counts.text)
        addresses = byte(counts.addresses)
        self.forms = forms
    }
}

extension StoredPod.Counts {
    @inline(__always)
    fileprivate init(_ parts: StoredPod.Parts) {
        self.init(
            identity: Int(parts.identity), namespace: Int(parts.namespace), name: Int(parts.name),
            uid: Int(parts.uid), text: Int(parts.text), addresses: Int(parts.addresses))
    }

    /// From where the bytes of a wide block begin.
    fileprivate init(wide start: UnsafeRawPointer) {
        func count(_ place: Int) -> Int { Int(start.loadUnaligned(fromByteOffset: 4 * place, as: UInt32.self)) }
        self.init(
            start: Self.wideCount, identity: count(0), namespace: count(1), name: count(2), uid: count(3),
            text: count(4), addresses: count(5))
    }
}
