import Addressing
import Ledger
import TandemAPI

/// A Service's document taken apart, as far as its members follow from its key and its addresses or are of the few texts of a
/// `SpecHead`; all others are the bytes that they came in.
///
/// The parts are cut out by comparing the text with the form byte by byte; a text that differs from it is kept whole.
struct ServiceText {
    // Inside of the text; they live as long as it does.
    /// Further members of `metadata`, each with a comma in front.
    let metadata: UnsafeRawBufferPointer
    let head: SpecHead
    /// The text behind the head: further members of `spec`, with a comma in front unless the head is empty, and all behind them, unless that
    /// is a `status` with nothing in it.
    let rest: UnsafeRawBufferPointer
    /// `status` has nothing in it.
    let hasPlainStatus: Bool

    /// nil where the text has another form. O(length).
    init?(
        _ document: UnsafeRawBufferPointer, key: String, _ uid: Written<ObjectUID>, _ created: CreationTime,
        holding first: IPAddress?, _ second: IPAddress?
    ) {
        var scan = TextScan(rest: document)
        guard scan.skip(Self.start), let namespace = scan.string(), scan.skip(#","name":""#), let name = scan.string(),
            Self.isKey(key, namespace, name), scan.skip(#","uid":""#), let uidText = scan.string(),
            uid.isWritten(uidText), scan.skip(#","creationTimestamp":""#), let time = scan.string(),
            created.isWritten(time),
            let place = Self.place(of: Self.spec, in: scan.rest)
        else { return nil }
        metadata = UnsafeRawBufferPointer(rebasing: scan.rest[..<place])
        var behind = TextScan(
            rest: UnsafeRawBufferPointer(rebasing: scan.rest[(place + Self.spec.utf8CodeUnitCount)...]))
        head = SpecHead(&behind, holding: first, second)
        let end = max(0, behind.rest.count - Self.status.utf8CodeUnitCount)
        var last = TextScan(rest: UnsafeRawBufferPointer(rebasing: behind.rest[end...]))
        hasPlainStatus = last.skip(Self.status)
        rest = hasPlainStatus ? UnsafeRawBufferPointer(rebasing: behind.rest[..<end]) : behind.rest
    }

    /// Of the text that the Service's own writer wrote: where its parts lie follows from their lengths. nil where it has another form: a name
    /// or a uid with an escape, or a time of another form than the canonical one. O(length of the names).
    init?(
        of service: Service, _ document: UnsafeRawBufferPointer, key: String, holding first: IPAddress?,
        _ second: IPAddress?
    ) {
        guard let uid = service.metadata.uid, service.metadata.creationTimestamp?.value != nil,
            service.metadata.resourceVersion == nil
        else { return nil }
        var scan = TextScan(rest: document)
        guard scan.skip(Self.start), let namespace = scan.string(), scan.skip(#","name":""#), let name = scan.string(),
            Self.isKey(key, namespace, name), scan.skip(#","uid":""#), scan.string()?.count == uid.byteCount
        else { return nil }
        let place = #","creationTimestamp":"""#.utf8.count + CreationTime.textCount
        let metadataCount = service.metadata.others.byteCount
        guard place + metadataCount < scan.rest.count else { return nil }
        var behind = TextScan(rest: UnsafeRawBufferPointer(rebasing: scan.rest[(place + metadataCount)...]))
        guard behind.skip(Self.spec) else { return nil }
        self.metadata = UnsafeRawBufferPointer(rebasing: scan.rest[place..<(place + metadataCount)])
        head = SpecHead(of: service, holding: first, second)
        head.pass(&behind)
        hasPlainStatus = service.status.isEmpty && service.others.isEmpty
        let end = behind.rest.count - (hasPlainStatus ? Self.status.utf8CodeUnitCount : 0)
        rest = UnsafeRawBufferPointer(rebasing: behind.rest[..<end])
    }

    static let start: StaticString = #"{"apiVersion":"v1","kind":"Service","metadata":{"namespace":""#
    static let spec: StaticString = #"},"spec":{"#
    static let status: StaticString = #"},"status":{"loadBalancer":{}}}"#

    /// Whether the key's parts are these.
    private static func isKey(
        _ key: String, _ namespace: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer
    ) -> Bool {
        var key = key
        return key.withUTF8 { key in
            let key = UnsafeRawBufferPointer(key)
            guard key.count == namespace.count + 1 + name.count,
                key.firstIndex(of: UInt8(ascii: "/")) == namespace.count
            else { return false }
            return namespace.hasSameBytes(as: .init(rebasing: key[..<namespace.count]))
                && name.hasSameBytes(as: .init(rebasing: key[(namespace.count + 1)...]))
        }
    }

    /// Where the part begins first. O(length).
    private static func place(of part: StaticString, in text: UnsafeRawBufferPointer) -> Int? {
        var scan = TextScan(rest: text)
        while let start = scan.rest.firstIndex(of: part.utf8Start[0]) {
            scan.rest = UnsafeRawBufferPointer(rebasing: scan.rest[start...])
            let place = text.count - scan.rest.count
            if scan.skip(part) { return place }
            scan.rest = UnsafeRawBufferPointer(rebasing: scan.rest.dropFirst())
        }
        return nil
    }
}
