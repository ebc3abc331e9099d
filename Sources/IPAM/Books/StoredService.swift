import Addressing
import DualStack
import Ledger
import TandemAPI

/// A Service as it was last kept. A change puts a new one in its place. Small, since there may be a million: one block of memory that holds
/// the parts that can't be made from the rest, some 200 bytes; the document is written anew when it is asked for.
struct StoredService: @unchecked Sendable {
    // Proof: the block is filled before `init` returns and never changes after, but for its version, which `stamp` sets once, before
    // the Service is shown to any reader; its references are to Sendable values.
    private let block: Block

    private typealias Block = ManagedBuffer<Header, UInt8>

    /// In front of the bytes. Those are, one behind the other: the holdings, the uid, the time of creation, further members of `metadata`
    /// and of `spec`, and those of the request. A document that is no `ServiceText` lies where the members of `spec` do.
    private struct Header {
        /// `namespace/name`, as the books and the log know it.
        let key: String
        let rare: RareFacts?
        var version: UInt64
        let parts: Parts
    }

    /// Apart from the references, so that to read them changes no reference count.
    private struct Parts {
        var holdingCount: UInt32 = 0
        var holdingBytes: UInt32 = 0
        var uidCount: UInt32 = 0
        var metadataCount: UInt32 = 0
        var restCount: UInt32 = 0
        var requestCount: UInt32 = 0
        var documentCount: UInt32 = 0
        var head = SpecHead()
        var requestHead = SpecHead()
        var forms: Forms = []

        var createdPlace: UInt32 { holdingBytes + uidCount }
        var createdCount: UInt32 { forms.contains(.plain) ? UInt32(CreationTime.byteCount) : 0 }
        var metadataPlace: UInt32 { createdPlace + createdCount }
        var restPlace: UInt32 { metadataPlace + metadataCount }
        var requestPlace: UInt32 { restPlace + restCount }
    }

    private struct Forms: OptionSet {
        let rawValue: UInt8
        /// The uid is an `ObjectUID`.
        static let packedUID = Forms(rawValue: 1)
        /// The document is a `ServiceText`, and the time of creation a `CreationTime`.
        static let plain = Forms(rawValue: 2)
        static let plainStatus = Forms(rawValue: 4)
        /// The uid came from a client; else Tandem made it.
        static let givenUID = Forms(rawValue: 8)
        /// The request is an object, whose brace is not kept.
        static let object = Forms(rawValue: 16)
        /// Behind its head the request has the members that the document's `spec` has there, and none of its own.
        static let sameRequest = Forms(rawValue: 32)
    }

    /// `document` is the text of `service`, without its version; `isWritten` says that the Service's own writer wrote it, and not another
    /// release or server. O(length).
    init(
        _ service: Service, key: String, _ context: ServiceContext, holding holdings: [Holding], document: [UInt8],
        version: UInt64 = 0, shown: Few<IPAddress>? = nil, isWritten: Bool = false
    ) {
        let rare = RareFacts.of(service, context, holding: holdings, shown: shown)
        block = document.withUnsafeBytes { document in
            context.withRequest { request in
                Self.makeBlock(
                    key, rare, version, isUIDGiven: context.isUIDGiven, service, holdings, document,
                    isWritten: isWritten,
                    request: rare?.request == nil ? request : .init(rebasing: request[..<0]))
            }
        }
    }

    private static func makeBlock(
        _ key: String, _ rare: RareFacts?, _ version: UInt64, isUIDGiven: Bool, _ service: Service,
        _ holdings: [Holding], _ document: UnsafeRawBufferPointer, isWritten: Bool, request: UnsafeRawBufferPointer
    ) -> Block {
        let (first, second) = (holdings.first?.address, holdings.dropFirst().first?.address)
        var parts = Parts()
        if isUIDGiven { parts.forms.insert(.givenUID) }
        parts.holdingCount = UInt32(holdings.count)
        for holding in holdings { parts.holdingBytes += UInt32(HoldingBytes.count(of: holding)) }
        parts.documentCount = UInt32(document.count)
        let (uid, created) = (service.metadata.uid ?? .empty, service.metadata.creationTimestamp?.value)
        let text =
            isWritten
            ? ServiceText(of: service, document, key: key, holding: first, second)
            : created.flatMap { ServiceText(document, key: key, uid, $0, holding: first, second) }
        if uid.value != nil { parts.forms.insert(.packedUID) }
        return uid.withBytes { uid in
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            var (metadata, rest) = (nothing, document)
            if let text {
                parts.forms.insert(.plain)
                if text.hasPlainStatus { parts.forms.insert(.plainStatus) }
                parts.head = text.head
                (metadata, rest) = (text.metadata, text.rest)
            }
            var asked = TextScan(rest: request)
            if asked.skip("{") {
                parts.forms.insert(.object)
                parts.requestHead = SpecHead(&asked, holding: first, second)
                if parts.forms.contains(.plainStatus), parts.requestHead.isFollowed(in: asked.rest, by: rest) {
                    parts.forms.insert(.sameRequest)
                    asked.rest = nothing
                }
            }
            parts.uidCount = UInt32(uid.count)
            parts.metadataCount = UInt32(metadata.count)
            parts.restCount = UInt32(rest.count)
            parts.requestCount = UInt32(asked.rest.count)
            let block = Block.create(minimumCapacity: Int(parts.requestPlace + parts.requestCount)) { _ in
                Header(key: key, rare: rare, version: version, parts: parts)
            }
            block.withUnsafeMutablePointerToElements { start in
                // In memory of as many bytes as all parts have together.
                var end = UnsafeMutableRawPointer(start)
                for holding in holdings { end = HoldingBytes.write(holding, to: end) }
                end.append(uid)
                if text != nil, let created { withUnsafeBytes(of: created.seconds) { end.append($0) } }
                end.append(metadata)
                end.append(rest)
                end.append(asked.rest)
            }
            return block
        }
    }

    /// The version that `Books.apply` gives it.
    func stamp(_ version: UInt64) {
        block.withUnsafeMutablePointerToHeader { $0.pointee.version = version }
    }

    /// The same block: the same version of the same Service.
    static func === (left: StoredService, right: StoredService) -> Bool { left.block === right.block }

    // MARK: Its parts

    @inline(__always)
    private var parts: Parts { block.withUnsafeMutablePointerToHeader { $0.pointee.parts } }
    private var rare: RareFacts? { block.header.rare }

    var version: UInt64 { block.withUnsafeMutablePointerToHeader { $0.pointee.version } }
    /// `namespace/name`, as the books and the log know it.
    var key: String { block.header.key }
    var namespace: String { key.utf8.firstIndex(of: UInt8(ascii: "/")).map { String(key[..<$0]) } ?? "" }
    var name: String {
        key.utf8.firstIndex(of: UInt8(ascii: "/")).map { String(key[key.utf8.index(after: $0)...]) } ?? key
    }
    var uid: Written<ObjectUID> {
        let parts = parts
        return with(parts.holdingBytes, parts.uidCount) {
            Written(bytes: $0, isValue: parts.forms.contains(.packedUID))
        }
    }
    /// Whether it lies in a namespace. O(length), without a text of its own.
    func isIn(_ namespace: String) -> Bool {
        let (key, namespace) = (key.utf8, namespace.utf8)
        return key.count > namespace.count && key.starts(with: namespace)
            && key[key.index(key.startIndex, offsetBy: namespace.count)] == UInt8(ascii: "/")
    }

    var owner: Owner { Owner(.service, namespace: namespace, name: name, uid: uid.description) }
    /// The uid came from a client; else Tandem made it.
    var isUIDGiven: Bool { parts.forms.contains(.givenUID) }
    /// The update that made the present version; nil where none did.
    var update: ServiceUpdate? { rare?.update }
    /// Cluster IPs that it holds and that an adoption did not show any more.
    var kept: Few<IPAddress> { rare?.kept ?? [] }
    /// The addresses that its document shows, where those are others: for the audit, as only a hand in the tables makes it so.
    var shown: Few<IPAddress>? { rare?.shown }
    /// The node ports that its document shows and that it does not hold: it came while none were handed out.
    var shownPorts: [UInt16] { rare?.shownPorts ?? [] }
    /// Those that it holds and its document does not show: an adoption left them.
    var keptPorts: [NodePort] { rare?.keptPorts ?? [] }

    @inline(__always)
    private func with<Result>(
        _ start: UInt32, _ count: UInt32, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        // Inside the block, by the header's counts; the block lives for as long as the closure runs.
        block.withUnsafeMutablePointerToElements {
            body(UnsafeRawBufferPointer(start: $0 + Int(start), count: Int(count)))
        }
    }

    // MARK: Holdings

    /// Each holding, without a list of them. O(holdings).
    @inline(__always)
    func visitHoldings(_ body: (Holding) -> Void) {
        visit { if let holding = HoldingBytes.read(at: &$0) { body(holding) } }
    }

    /// Calls `next` with the place of each holding, which it moves to the next.
    @inline(__always)
    private func visit(_ next: (inout UnsafeRawPointer) -> Void) {
        let count = parts.holdingCount
        block.withUnsafeMutablePointerToElements { start in
            // As many as `init` has written there.
            var place = UnsafeRawPointer(start)
            for _ in 0..<count { next(&place) }
        }
    }

    var holdings: [Holding] {
        var holdings: [Holding] = []
        visitHoldings { holdings.append($0) }
        return holdings
    }

    var addresses: Few<IPAddress> {
        var addresses = Few<IPAddress>()
        visitAddresses { addresses.append($0) }
        return addresses
    }

    /// Each of `addresses`, without a list of them.
    @inline(__always)
    func visitAddresses(_ body: (IPAddress) -> Void) {
        visit { if let address = HoldingBytes.address(at: &$0) { body(address) } }
    }

    /// Whether the cluster gave it the address, which may be another's as well.
    func records(_ address: IPAddress) -> Bool { holding(of: address)?.pool == .recordedIP }

    func holds(_ address: IPAddress) -> Bool { holding(of: address) != nil }

    /// The kind of its holding of an address. O(1).
    func holding(of address: IPAddress) -> Holding? {
        if let byAddress = rare?.byAddress { return byAddress[address] }
        var found: Holding?
        visitHoldings { if found == nil, $0.address == address { found = $0 } }
        return found
    }

    /// Each node port that it holds or shows.
    func visitPorts(_ body: (UInt16) -> Void) {
        visitHoldings { if let port = $0.port { body(port) } }
        for port in shownPorts { body(port) }
    }

    /// The numbers of all that it holds or shows.
    var knownPorts: Set<UInt16> {
        var ports: Set<UInt16> = []
        visitPorts { ports.insert($0) }
        return ports
    }

    // MARK: Texts

    /// Of its block, without the fixed header, and of a long request beside it.
    var byteCount: Int { Int(parts.requestPlace + parts.requestCount) + (rare?.request?.text.count ?? 0) }

    /// The length of `document`, in bytes. O(1).
    var documentCount: Int { Int(parts.documentCount) }

    /// As it is stored: without its version. O(length).
    var document: [UInt8] { Documents.encode { writeDocument(nil, to: &$0) } }

    /// As it is served: with held addresses that it does not show, where an adoption left some. O(length).
    var served: [UInt8] { Documents.encode(writeServed) }

    /// The same, as a value of a text.
    func writeServed(to writer: inout JSONWriter) {
        let kept = keptTexts
        if kept.isEmpty {
            writeDocument(version, to: &writer)
        } else {
            Documents.write(document, version, kept: kept, to: &writer)
        }
    }

    /// The same, where its `document` is at hand.
    func writeServed(_ document: [UInt8], to writer: inout JSONWriter) {
        Documents.write(document, version, kept: keptTexts, to: &writer)
    }

    /// What it holds and does not show, as it is served.
    private var keptTexts: [String] { rare.map { $0.kept.map(\.description) + $0.keptPorts.map(\.keptText) } ?? [] }

    private func writeDocument(_ version: UInt64?, to writer: inout JSONWriter) {
        let parts = parts
        guard parts.forms.contains(.plain) else {
            return with(parts.restPlace, parts.restCount) { document in
                guard let version else {
                    writer.beginText()
                    return writer.append(document)
                }
                Documents.write(document, version, to: &writer)
            }
        }
        var key = key
        let (first, second) = firstAddresses
        writer.beginText()
        writer.append(ServiceText.start)
        key.withUTF8 { key in
            let slash = key.firstIndex(of: UInt8(ascii: "/")) ?? key.count
            writer.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(key)[..<slash]))
            writer.append(#"","name":""#)
            writer.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(key)[(slash + 1)...]))
        }
        writer.append(#"","uid":""#)
        uid.withText { writer.append($0) }
        if let version {
            writer.append(#"","resourceVersion":""#)
            writer.append(decimal: version)
        }
        writer.append(#"","creationTimestamp":""#)
        with(parts.createdPlace, parts.createdCount) { created in
            CreationTime(seconds: created.loadUnaligned(as: UInt32.self)).withText { writer.append($0) }
        }
        writer.append(UInt8(ascii: "\""))
        with(parts.metadataPlace, parts.metadataCount) { writer.append($0) }
        writer.append(ServiceText.spec)
        parts.head.write(to: &writer, holding: first, second)
        with(parts.restPlace, parts.restCount) { writer.append($0) }
        if parts.forms.contains(.plainStatus) { writer.append(ServiceText.status) }
    }

    /// The two in front, where those are addresses: a `SpecHead` refers to them.
    private var firstAddresses: (IPAddress?, IPAddress?) {
        var (index, first, second) = (0, IPAddress?.none, IPAddress?.none)
        visitHoldings { holding in
            if index == 0 { first = holding.address }
            if index == 1 { second = holding.address }
            index += 1
        }
        return (first, second)
    }

    /// `spec` as it was asked for. O(length).
    var request: [UInt8] {
        if let request = rare?.request { return request.text }
        let parts = parts
        return Documents.encode { writer in
            writer.beginText()
            guard parts.forms.contains(.object) else {
                return with(parts.requestPlace, parts.requestCount) { writer.append($0) }
            }
            let (first, second) = firstAddresses
            writer.append(UInt8(ascii: "{"))
            parts.requestHead.write(to: &writer, holding: first, second)
            if parts.forms.contains(.sameRequest) {
                with(parts.restPlace, parts.restCount) { writer.append(parts.requestHead.members($0)) }
                writer.append(UInt8(ascii: "}"))
            } else {
                with(parts.requestPlace, parts.requestCount) { writer.append($0) }
            }
        }
    }

    /// The request of before, where that is a long one: it has its hash, once that has been asked for.
    var longRequest: StoredRequest? { rare?.request }

    /// Whether a request means the same as the one that it was asked for by. O(length of the other), but for a kilobyte, and the first time.
    func isAsked(by other: [UInt8]) -> Bool { (rare?.request ?? StoredRequest(text: request)).means(other) }

    /// The object decoded from its text, with its version. O(length).
    func decoded() throws(APIError) -> Service {
        var service = try Documents.decode(document) { reader throws(JSONError) in try Service(from: &reader) }
        service.metadata.resourceVersion = String(version)
        return service
    }

    // MARK: Names

    static func key(_ namespace: String, _ name: String) -> String {
        // On every call's way: an interpolation takes ten times as long.
        var (namespace, name) = (namespace, name)
        return namespace.withUTF8 { namespace in
            name.withUTF8 { name in
                String(unsafeUninitializedCapacity: namespace.count + 1 + name.count) { buffer in
                    _ = buffer.update(fromContentsOf: namespace)
                    buffer[namespace.count] = UInt8(ascii: "/")
                    return UnsafeMutableBufferPointer(rebasing: buffer[(namespace.count + 1)...]).update(
                        fromContentsOf: name) + namespace.count + 1
                }
            }
        }
    }

    /// The prefix of the keys of a namespace's Services.
    static func prefix(of namespace: String) -> String { key(namespace, "") }

    static func key(_ metadata: ObjectMeta) -> String { key(metadata.namespace, metadata.name) }
}
