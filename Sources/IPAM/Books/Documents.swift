import TandemAPI

/// Objects as text and back. An object is stored without `metadata.resourceVersion`, which its place in the log decides; it is put in
/// when it is served, where `ObjectMeta.write` has it: behind the uid.
enum Documents {
    static func decode<Object>(
        _ document: [UInt8], _ read: (inout JSONReader) throws(JSONError) -> Object
    ) throws(APIError) -> Object {
        do throws(JSONError) {
            return try JSONReader.read(document, isLimited: false, read)
        } catch {
            throw APIError(.internal, reason: "InternalError", "a stored object can't be read: \(error)")
        }
    }

    static func encode(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        write(&writer)
        return writer.bytes
    }

    /// A stored document as it is served. O(length).
    static func served(_ document: [UInt8], _ version: UInt64) -> [UInt8] {
        let place = document.withUnsafeBytes { VersionPlace($0) }
        guard let place else { return document }
        var text: [UInt8] = []
        text.reserveCapacity(document.count + 42)
        text.append(contentsOf: document[..<place.end])
        text.append(contentsOf: #","resourceVersion":""#.utf8)
        text.append(contentsOf: String(version).utf8)
        text.append(UInt8(ascii: "\""))
        text.append(contentsOf: document[place.next...])
        return text
    }

    /// An object with a member more, behind all others, that its document does not have. O(length).
    static func adding(_ name: String, to document: [UInt8], _ write: (inout JSONWriter) -> Void) -> [UInt8] {
        guard document.last == UInt8(ascii: "}") else { return document }
        return document.dropLast() + #","\#(name)":"#.utf8 + encode(write) + [UInt8(ascii: "}")]
    }

    /// The form of releases before 1.1, in today's form: the version is cut out. O(length).
    static func withoutVersion(_ document: UnsafeRawBufferPointer) -> [UInt8] {
        guard let place = VersionPlace(document), place.end < place.next else { return Array(document) }
        return Array(document[..<place.end]) + Array(document[place.next...])
    }
}

/// Where a document has its version, or would have it.
private struct VersionPlace {
    /// Behind the uid.
    let end: Int
    /// Behind the version; the same where it has none.
    let next: Int

    /// nil where the text does not begin as the writer of objects begins one.
    init?(_ document: UnsafeRawBufferPointer) {
        var scan = TextScan(rest: document)
        guard scan.skip(#"{"apiVersion":"v1","kind":""#), scan.skipString(), scan.skip(#","metadata":{"#) else {
            return nil
        }
        if scan.skip(#""namespace":""#) {
            guard scan.skipString(), scan.skip(",") else { return nil }
        }
        guard scan.skip(#""name":""#), scan.skipString(), scan.skip(#","uid":""#), scan.skipString() else { return nil }
        end = document.count - scan.rest.count
        if scan.skip(#","resourceVersion":""#) {
            guard scan.skipString() else { return nil }
        }
        next = document.count - scan.rest.count
    }
}
