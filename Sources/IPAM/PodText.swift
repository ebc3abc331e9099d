import Addressing
import Glibc

/// A Pod's document taken apart, where it is of the plain form that almost all have: what the engine itself fills in and
/// nothing that the client sent along.
///
/// Such a text follows from a few of its parts, so that memory need not hold it. The parts are cut out by comparing the text
/// with the form byte by byte; a text that differs from it anywhere, be it by an escape, is not plain, and is kept whole.
struct PodText {
    /// Between quotes in the text, and free of quotes and backslashes; they live as long as the text.
    let namespace: UnsafeRawBufferPointer
    let name: UnsafeRawBufferPointer
    let uid: UnsafeRawBufferPointer
    let version: UnsafeRawBufferPointer
    let created: UnsafeRawBufferPointer
    let nodeName: UnsafeRawBufferPointer
    /// One or two.
    let addresses: (UnsafeRawBufferPointer, UnsafeRawBufferPointer?)

    /// nil where the text is not plain. O(length).
    init?(_ document: UnsafeRawBufferPointer) {
        var scan = Scan(rest: document)
        guard scan.skip(#"{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":""#), let namespace = scan.string(),
            scan.skip(#","name":""#), let name = scan.string(), scan.skip(#","uid":""#), let uid = scan.string(),
            scan.skip(#","resourceVersion":""#), let version = scan.string(),
            scan.skip(#","creationTimestamp":""#), let created = scan.string(),
            scan.skip(#"},"spec":{"nodeName":""#), let nodeName = scan.string(),
            scan.skip(#"},"status":{"podIP":""#), let first = scan.string(),
            scan.skip(#","podIPs":[{"ip":""#), let again = scan.string(), first.hasSameBytes(as: again)
        else { return nil }
        var second: UnsafeRawBufferPointer?
        if scan.skip(#"},{"ip":""#) {
            second = scan.string()
            guard second != nil else { return nil }
        }
        guard scan.skip("}]}}"), scan.rest.isEmpty else { return nil }
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.version = version
        self.created = created
        self.nodeName = nodeName
        addresses = (first, second)
    }

    /// Whether `write` makes this text of these; its other parts stand in it as they are.
    func isWritten(_ version: UInt64, _ nodeName: String, _ addresses: [IPAddress]) -> Bool {
        let (first, second) = self.addresses
        guard addresses.count == (second == nil ? 1 : 2), addresses[0].isWritten(first),
            second.map({ addresses[1].isWritten($0) }) ?? true
        else { return false }
        var (version, nodeName) = (String(version), nodeName)
        return version.withUTF8 { UnsafeRawBufferPointer($0).hasSameBytes(as: self.version) }
            && nodeName.withUTF8 { UnsafeRawBufferPointer($0).hasSameBytes(as: self.nodeName) }
    }

    /// The way back: the text that those parts were cut out of.
    static func write(
        namespace: some Sequence<UInt8>, name: some Sequence<UInt8>, uid: some Sequence<UInt8>, version: UInt64,
        created: some Sequence<UInt8>, nodeName: some Sequence<UInt8>, addresses: [IPAddress]
    ) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(400)
        text.append(#"{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":""#)
        text.append(contentsOf: namespace)
        text.append(#"","name":""#)
        text.append(contentsOf: name)
        text.append(#"","uid":""#)
        text.append(contentsOf: uid)
        text.append(#"","resourceVersion":""#)
        text.append(contentsOf: String(version).utf8)
        text.append(#"","creationTimestamp":""#)
        text.append(contentsOf: created)
        text.append(#""},"spec":{"nodeName":""#)
        text.append(contentsOf: nodeName)
        text.append(#""},"status":{"podIP":""#)
        addresses[0].write(into: &text)
        text.append(#"","podIPs":[{"ip":""#)
        for (index, address) in addresses.enumerated() {
            if index > 0 { text.append(#""},{"ip":""#) }
            address.write(into: &text)
        }
        text.append(#""}]}}"#)
        return text
    }
}

/// Walks over a text from its front.
private struct Scan {
    var rest: UnsafeRawBufferPointer

    @inline(__always)
    mutating func skip(_ literal: StaticString) -> Bool {
        let count = literal.utf8CodeUnitCount
        guard rest.count >= count, memcmp(rest.baseAddress!, literal.utf8Start, count) == 0 else { return false }
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        return true
    }

    /// Up to the next quote and over it; nil where there is none, or an escape is before it.
    @inline(__always)
    mutating func string() -> UnsafeRawBufferPointer? {
        var end = 0
        while end < rest.count {
            let byte = rest[end]
            if byte == UInt8(ascii: "\"") {
                defer { rest = UnsafeRawBufferPointer(rebasing: rest[(end + 1)...]) }
                return UnsafeRawBufferPointer(rebasing: rest[..<end])
            }
            if byte == UInt8(ascii: "\\") { return nil }
            end += 1
        }
        return nil
    }
}

extension IPAddress {
    fileprivate func isWritten(_ text: UnsafeRawBufferPointer) -> Bool {
        withUTF8 { UnsafeRawBufferPointer($0).hasSameBytes(as: text) }
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ literal: StaticString) {
        // A static string's bytes live as long as the process.
        append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }
}
