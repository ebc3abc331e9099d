import Addressing
import Ledger

/// A Service's document taken apart, as far as its members follow from its key and its addresses or are of the few texts of a
/// `SpecHead`; all others are the bytes that they came in.
///
/// The parts are cut out by comparing the text with the form byte by byte; a text that differs from it is kept whole.
struct ServiceText {
    // Inside of the text; they live as long as it does.
    let uid: UnsafeRawBufferPointer
    let created: UnsafeRawBufferPointer
    /// Further members of `metadata`, each with a comma in front.
    let metadata: UnsafeRawBufferPointer
    let head: SpecHead
    /// The text behind the head: further members of `spec`, with a comma in front unless the head is empty, and all behind them, unless that
    /// is a `status` with nothing in it.
    let rest: UnsafeRawBufferPointer
    /// `status` has nothing in it.
    let hasPlainStatus: Bool

    /// nil where the text has another form. O(length).
    init?(_ document: UnsafeRawBufferPointer, key: String, holding first: IPAddress?, _ second: IPAddress?) {
        var scan = TextScan(rest: document)
        guard scan.skip(Self.start), let namespace = scan.string(), scan.skip(#","name":""#), let name = scan.string(),
            Self.isKey(key, namespace, name), scan.skip(#","uid":""#), let uid = scan.string(),
            scan.skip(#","creationTimestamp":""#), let created = scan.string(),
            let place = Self.place(of: Self.spec, in: scan.rest)
        else { return nil }
        self.uid = uid
        self.created = created
        metadata = UnsafeRawBufferPointer(rebasing: scan.rest[..<place])
        var behind = TextScan(
            rest: UnsafeRawBufferPointer(rebasing: scan.rest[(place + Self.spec.utf8CodeUnitCount)...]))
        head = SpecHead(&behind, holding: first, second)
        let end = max(0, behind.rest.count - Self.status.utf8CodeUnitCount)
        var last = TextScan(rest: UnsafeRawBufferPointer(rebasing: behind.rest[end...]))
        hasPlainStatus = last.skip(Self.status)
        rest = hasPlainStatus ? UnsafeRawBufferPointer(rebasing: behind.rest[..<end]) : behind.rest
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
