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

    @inline(__always)
    static func encode(_ write: (inout JSONWriter) -> Void) -> [UInt8] { JSONWriter.text(write) }

    /// A stored document as it is served. O(length).
    static func served(_ document: [UInt8], _ version: UInt64) -> [UInt8] {
        encode { write(document, version, to: &$0) }
    }

    /// Writes a stored document as it is served, with a list more behind all other members, unless it is empty. O(length).
    static func write(
        _ document: [UInt8], _ version: UInt64, kept: [String] = [], to writer: inout JSONWriter
    ) {
        document.withUnsafeBytes { write($0, version, kept: kept, to: &writer) }
    }

    /// The same of a document's bytes.
    static func write(
        _ document: UnsafeRawBufferPointer, _ version: UInt64, kept: [String] = [], to writer: inout JSONWriter
    ) {
        writer.beginText()
        var rest = document[...]
        if let place = VersionPlace(document) {
            writer.append(UnsafeRawBufferPointer(rebasing: document[..<place.end]))
            writer.append(#","resourceVersion":""#)
            writer.append(decimal: version)
            writer.append(UInt8(ascii: "\""))
            rest = document[place.next...]
        }
        guard !kept.isEmpty, document.last == UInt8(ascii: "}") else {
            return writer.append(UnsafeRawBufferPointer(rebasing: rest))
        }
        writer.append(UnsafeRawBufferPointer(rebasing: rest.dropLast()))
        writer.key("kept")
        writer.strings(kept)
        writer.endObject()
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
