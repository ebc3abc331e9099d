import Ledger
import NIOCore
import TandemAPI

/// A record's value in the tables: JSON that a person can read, its members always in this order.
///
///     {"version":7,"created":7,"holdings":"podIP=10.0.0.2","context":{...},"document":{...}}
extension StoredRecord {
    var tableValue: ByteBuffer {
        var writer = JSONWriter(capacity: form.document.count + form.context.count + 256)
        writer.beginObject()
        writer.key("version")
        writer.number(version)
        writer.key("created")
        writer.number(created)
        if isReleasing {
            writer.key("releasing")
            writer.bool(true)
        }
        writer.key("holdings")
        writer.string(Holding.text(form.holdings))
        if !form.context.isEmpty {
            writer.key("context")
            writer.text(form.context)
        }
        writer.key("document")
        writer.text(form.document)
        writer.endObject()
        return ByteBuffer(bytes: writer.bytes)
    }

    /// nil where the value is none of ours.
    init?(_ key: ObjectKey, tableValue: ByteBuffer) {
        var (version, created): (UInt64?, UInt64?)
        var isReleasing = false
        var holdings: [Holding]?
        var context: [UInt8] = []
        var document: [UInt8]?
        do throws(JSONError) {
            try JSONReader.read(Array(tableValue.readableBytesView), isLimited: false) { reader throws(JSONError) in
                try reader.beginObject()
                var count = 0
                while let key = try reader.nextKey(&count) {
                    switch key {
                    case "version": version = UInt64(exactly: try reader.readInt())
                    case "created": created = UInt64(exactly: try reader.readInt())
                    case "releasing": isReleasing = try reader.readBool()
                    case "holdings":
                        var text = try reader.readString()
                        holdings = text.withUTF8 { Holding.parse(UnsafeRawBufferPointer($0)) }
                    case "context": context = try reader.readText().bytes
                    case "document": document = try reader.readText().bytes
                    default: try reader.skipValue()
                    }
                }
            }
        } catch {
            return nil
        }
        guard let version, let holdings, let document else { return nil }
        self.init(
            key: key, version: version, created: created, isReleasing: isReleasing,
            form: StoredForm(document: document, context: context, holdings: holdings))
    }
}
