import NIOCore
import TandemAPI

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

/// A server's place in the log, and the digest of its books there.
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
