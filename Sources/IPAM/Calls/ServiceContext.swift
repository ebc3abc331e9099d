import Addressing
import TandemAPI

/// The facts kept beside a Service, so that the same request finds its answer again.
struct ServiceContext: Sendable {
    /// The beginning of its stored form, closed: an array of the request, and whether the uid is a client's.
    private let beginning: [UInt8]
    /// The same of the version before, so that it is not hashed anew.
    let known: StoredRequest?
    /// The uid came from a client; else Tandem made it.
    let isUIDGiven: Bool
    /// The update that made the present version; nil where none did.
    let update: ServiceUpdate?
    /// Cluster IPs that the Service holds and that an adoption did not show any more.
    let kept: Few<IPAddress>

    init(
        request: [UInt8], known: StoredRequest? = nil, isUIDGiven: Bool, update: ServiceUpdate? = nil,
        kept: Few<IPAddress> = []
    ) {
        self.init(isUIDGiven: isUIDGiven, known: known, update: update, kept: kept) { $0.text(request) }
    }

    /// `writeRequest` writes the request, a value.
    init(
        isUIDGiven: Bool, known: StoredRequest? = nil, update: ServiceUpdate? = nil, kept: Few<IPAddress> = Few(),
        _ writeRequest: (inout JSONWriter) -> Void
    ) {
        self.known = known
        self.kept = kept
        self.isUIDGiven = isUIDGiven
        self.update = update
        beginning = Documents.encode { writer in
            writer.beginArray()
            writeRequest(&writer)
            writer.bool(isUIDGiven)
            writer.endArray()
        }
    }

    /// Calls `body` with the identity of a retry of `AllocateServiceIPs`: `spec` as it was asked for.
    func withRequest<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        beginning.withUnsafeBytes { beginning in
            let end = beginning.count - (isUIDGiven ? ",true]" : ",false]").utf8.count
            return body(UnsafeRawBufferPointer(rebasing: beginning[1..<end]))
        }
    }

    /// The same. O(length).
    var request: [UInt8] { withRequest { Array($0) } }

    /// Its stored form: an array of the request, whether the uid is a client's, and where there is an update its hash, the version
    /// that it named, and the released addresses; then the kept ones, if any.
    var text: [UInt8] {
        guard update != nil || !kept.isEmpty else { return beginning }
        return Documents.encode { writer in
            writer.beginText()
            beginning.withUnsafeBytes { writer.append(UnsafeRawBufferPointer(rebasing: $0.dropLast())) }
            writer.string(update?.hash.description ?? "")
            writer.string(update?.named ?? "")
            writer.strings(update?.released.map(\.description) ?? [])
            if !kept.isEmpty { writer.strings(kept.map(\.description)) }
            writer.endArray()
        }
    }

    /// Before 1.1 the request was kept alone, an object; its uid counts as made.
    init(_ text: UnsafeRawBufferPointer) throws(APIError) {
        guard text.first == UInt8(ascii: "[") else {
            self.init(request: Array(text), isUIDGiven: false)
            return
        }
        self = try Documents.decode(Array(text)) { reader throws(JSONError) in try ServiceContext(from: &reader) }
    }

    private init(from reader: inout JSONReader) throws(JSONError) {
        var request: [UInt8] = []
        var isUIDGiven = false
        var (hash, named, released) = (CanonicalHash?.none, "", Few<IPAddress>())
        var kept = Few<IPAddress>()
        try reader.beginArray()
        var count = 0
        while try reader.nextElement(&count) {
            switch count {
            case 1: request = try reader.readText().bytes
            case 2: isUIDGiven = try reader.readBool()
            case 3: hash = CanonicalHash(try reader.readString())
            case 4: named = try reader.readString()
            case 5: released = Few((try reader.readStrings() ?? []).compactMap { IPAddress($0) })
            case 6: kept = Few((try reader.readStrings() ?? []).compactMap { IPAddress($0) })
            default: try reader.skipValue()
            }
        }
        self.init(
            request: request, isUIDGiven: isUIDGiven,
            update: hash.map { ServiceUpdate(hash: $0, named: named, released: released) }, kept: kept)
    }
}

/// An update that is known again when it comes a second time.
struct ServiceUpdate: Sendable {
    var hash: CanonicalHash
    /// `metadata.resourceVersion` as it named it; empty where it named none.
    var named: String
    var released: Few<IPAddress>
}

extension ServiceUpdate {
    /// Of the request: all that it says but its `status`, which is passed over, and the version that it names, "" and "0" for none.
    init(_ asked: Service) {
        var request = asked
        request.status = ServiceStatus()
        request.metadata.resourceVersion = nil
        let version = asked.metadata.resourceVersion ?? ""
        self.init(
            hash: CanonicalHash(of: Documents.encode(request.write)), named: version == "0" ? "" : version, released: []
        )
    }

    func releasing(_ addresses: Few<IPAddress>) -> ServiceUpdate {
        ServiceUpdate(hash: hash, named: named, released: addresses)
    }

    func isSame(as other: ServiceUpdate) -> Bool { hash == other.hash && named == other.named }
}
