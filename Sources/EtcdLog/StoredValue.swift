import Ledger
import NIOCore
import TandemAPI

/// An object's value in the tables: JSON that a person can read, its members always in this order.
///
///     {"version":7,"created":7,"holdings":"podIP=10.0.0.2","context":{...},"document":{...}}
struct StoredValue {
    var version: UInt64
    var created: UInt64
    var isReleasing = false
    var form: StoredForm

    var bytes: ByteBuffer {
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

    init(version: UInt64, created: UInt64, isReleasing: Bool = false, form: StoredForm) {
        self.version = version
        self.created = created
        self.isReleasing = isReleasing
        self.form = form
    }

    /// nil where the value is none of ours.
    init?(_ value: ByteBuffer) {
        var (version, created): (UInt64?, UInt64?)
        var isReleasing = false
        var holdings: [Holding]?
        var context: [UInt8] = []
        var document: [UInt8]?
        do throws(JSONError) {
            try JSONReader.read(Array(value.readableBytesView), isLimited: false) { reader throws(JSONError) in
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
            version: version, created: created ?? version, isReleasing: isReleasing,
            form: StoredForm(document: document, context: context, holdings: holdings))
    }
}

/// How far the tables are: exactly the state at `revision`.
struct FoldedMark: Sendable, Equatable {
    /// The newest entry that the tables have.
    var revision: Int64 = 0
    /// The highest version ever given by then.
    var version: UInt64 = 0

    var bytes: ByteBuffer {
        ByteBuffer(string: #"{"revision":\#(revision),"version":\#(version)}"#)
    }

    init() {}

    init(revision: Int64, version: UInt64) {
        self.revision = revision
        self.version = version
    }

    init?(_ value: ByteBuffer) {
        guard let json = try? JSONValue(parsing: Array(value.readableBytesView)),
            let revision = json["revision"]?.intValue, let version = json["version"]?.intValue, version >= 0
        else { return nil }
        self.init(revision: Int64(revision), version: UInt64(version))
    }
}

/// How far a server has come, and what its books are there.
struct ProgressMark: Sendable, Equatable {
    /// Everything up to it is applied.
    var revision: Int64
    /// Entries and folds up to there.
    var place: Int64
    var digest: UInt64

    /// The digest as text: JSON's numbers have no room for it in many a reader.
    var bytes: ByteBuffer {
        ByteBuffer(string: #"{"revision":\#(revision),"place":\#(place),"digest":"\#(digest)"}"#)
    }

    init(revision: Int64, place: Int64, digest: UInt64) {
        self.revision = revision
        self.place = place
        self.digest = digest
    }

    init?(_ value: ByteBuffer) {
        guard let json = try? JSONValue(parsing: Array(value.readableBytesView)),
            let revision = json["revision"]?.intValue, let place = json["place"]?.intValue,
            let digest = json["digest"]?.stringValue.flatMap(UInt64.init)
        else { return nil }
        self.init(revision: Int64(revision), place: Int64(place), digest: digest)
    }
}
