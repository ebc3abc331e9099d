import Addressing
import Glibc
import Ledger
import TandemAPI

/// A Pod's document taken apart, where it is of the plain form that almost all have: members that the engine itself fills in, and
/// nothing that the client sent along but further members of the metadata, such as annotations.
///
/// Such a text follows from a few of its parts, so that memory need not hold it. The parts are cut out by comparing the text
/// with the form byte by byte; a text that differs from it anywhere, be it by an escape, is not plain, and is kept whole.
struct PodText {
    /// Between quotes in the text, and free of quotes and backslashes; they live as long as the text.
    let namespace: UnsafeRawBufferPointer
    let name: UnsafeRawBufferPointer
    let uid: UnsafeRawBufferPointer
    let created: UnsafeRawBufferPointer
    /// Further members of the metadata, each with the comma before it.
    let members: UnsafeRawBufferPointer
    let nodeName: UnsafeRawBufferPointer
    /// One or two.
    let addresses: (UnsafeRawBufferPointer, UnsafeRawBufferPointer?)

    /// nil where the text is not plain. O(length).
    init?(_ document: UnsafeRawBufferPointer) {
        var scan = TextScan(rest: document)
        guard scan.skip(#"{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":""#), let namespace = scan.string(),
            scan.skip(#","name":""#), let name = scan.string(), scan.skip(#","uid":""#), let uid = scan.string(),
            // Before 1.1 the version was stored: it is kept beside the document.
            !scan.skip(#","resourceVersion":""#) || scan.string() != nil,
            scan.skip(#","creationTimestamp":""#), let created = scan.string(), let members = Self.members(&scan),
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
        self.created = created
        self.members = members
        self.nodeName = nodeName
        addresses = (first, second)
    }

    /// nil where one is among those that the engine fills in, or a name has an escape.
    private static func members(_ scan: inout TextScan) -> UnsafeRawBufferPointer? {
        let start = scan.rest
        while scan.skip(#",""#) {
            guard let name = scan.string(), !known.contains(where: { $0.hasSameBytes(as: name) }), scan.skip(":"),
                scan.skipValue()
            else { return nil }
        }
        return UnsafeRawBufferPointer(rebasing: start[..<(start.count - scan.rest.count)])
    }

    private static let known: [StaticString] = ["namespace", "name", "uid", "resourceVersion", "creationTimestamp"]

    /// Whether these are the node and the addresses in it; its other parts stand in it as they are.
    func shows(_ nodeName: String, _ addresses: Few<IPAddress>) -> Bool {
        let (first, second) = self.addresses
        guard addresses.count == (second == nil ? 1 : 2), addresses[0].isWritten(first),
            second.map({ addresses[1].isWritten($0) }) ?? true
        else { return false }
        var nodeName = nodeName
        return nodeName.withUTF8 { UnsafeRawBufferPointer($0).hasSameBytes(as: self.nodeName) }
    }

    /// The way back: the text that those parts were cut out of, with a version where it is to be served.
    ///
    /// - Parameter members: in pieces.
    static func write(
        namespace: some Sequence<UInt8>, name: some Sequence<UInt8>, uid: some Sequence<UInt8>, version: UInt64?,
        created: some Sequence<UInt8>, members: [UnsafeRawBufferPointer], nodeName: some Sequence<UInt8>,
        addresses: Few<IPAddress>
    ) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(400 + members.reduce(0) { $0 + $1.count })
        text.append(#"{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":""#)
        text.append(contentsOf: namespace)
        text.append(#"","name":""#)
        text.append(contentsOf: name)
        text.append(#"","uid":""#)
        text.append(contentsOf: uid)
        if let version {
            text.append(#"","resourceVersion":""#)
            text.append(contentsOf: String(version).utf8)
        }
        text.append(#"","creationTimestamp":""#)
        text.append(contentsOf: created)
        text.append(#"""#)
        for part in members { text.append(contentsOf: part) }
        text.append(#"},"spec":{"nodeName":""#)
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

extension StaticString {
    fileprivate func hasSameBytes(as text: UnsafeRawBufferPointer) -> Bool {
        bytes.hasSameBytes(as: text)
    }
}
