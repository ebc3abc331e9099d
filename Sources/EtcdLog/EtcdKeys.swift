import Ledger
import NIOCore

/// The names of the keys below a prefix.
///
///     journal/configuration           the settings that all servers share
///     journal/servers/ID              a server that is there, for as long as its lease; its version counts the server's entries
///     journal/progress/ID             how far that server has come
///     journal/head                    written by every entry and every fold: its version counts them without a gap
///     journal/entries/ID/NUMBER       a group of proposals
///     journal/folded                  how far the tables are
///     journal/restoring               there while a restore fills the prefix: no server starts
///     services/, nodes/, cooling/     the tables: each object under its own name
///     pods/XX/                        the same, in 256 parts, since etcd counts all keys behind a page for every page
struct EtcdKeys: Sendable {
    /// Without a slash at its end.
    let prefix: String

    private func key(_ name: String) -> ByteBuffer { ByteBuffer(string: "\(prefix)/\(name)") }

    var configuration: ByteBuffer { key("journal/configuration") }
    var head: ByteBuffer { key("journal/head") }
    var folded: ByteBuffer { key("journal/folded") }
    var restoring: ByteBuffer { key("journal/restoring") }
    func server(_ id: String) -> ByteBuffer { key("journal/servers/\(id)") }
    func progress(_ id: String) -> ByteBuffer { key("journal/progress/\(id)") }
    func entry(_ id: String, _ number: Int64) -> ByteBuffer {
        key("journal/entries/\(id)/\(String(number).padded(to: 16))")
    }

    /// Everything below the prefix.
    var all: KeyRange { KeyRange(start: key(""), end: ByteBuffer(string: "\(prefix)0")) }
    var journal: KeyRange { range("journal/") }
    var servers: KeyRange { range("journal/servers/") }
    var progressMarks: KeyRange { range("journal/progress/") }
    var entries: KeyRange { range("journal/entries/") }

    /// The ranges of a table's keys, each of them with an end of its own.
    func table(_ kind: RecordKind) -> [KeyRange] {
        switch kind {
        case .service: [range("services/")]
        case .node: [range("nodes/")]
        case .cooling: [range("cooling/")]
        case .pod: (0..<256).map { range("pods/\(Self.hexadecimal(UInt8($0)))/") }
        }
    }

    func object(_ object: ObjectKey) -> ByteBuffer {
        switch object.kind {
        case .service: key("services/\(object.key)")
        case .node: key("nodes/\(object.key)")
        case .cooling: key("cooling/\(object.key)")
        case .pod: key("pods/\(Self.hexadecimal(Self.part(object.key)))/\(object.key)")
        }
    }

    /// The part of a key after the name of its range.
    func name(of key: ByteBuffer, in range: KeyRange) -> String? {
        let start = range.start.readableBytesView
        guard key.readableBytesView.starts(with: start) else { return nil }
        return String(buffer: key.getSlice(at: key.readerIndex + start.count, length: key.readableBytes - start.count)!)
    }

    private func range(_ name: String) -> KeyRange {
        // The byte behind a slash.
        let end = "\(prefix)/\(name.dropLast())0"
        return KeyRange(start: key(name), end: ByteBuffer(string: end))
    }

    /// The part of the pods' table: FNV-1a, folded to a byte.
    static func part(_ key: String) -> UInt8 {
        var hash: UInt32 = 0x811c_9dc5
        for byte in key.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        hash ^= hash >> 16
        return UInt8(truncatingIfNeeded: hash ^ hash >> 8)
    }

    private static func hexadecimal(_ byte: UInt8) -> String { String(byte, radix: 16).padded(to: 2) }
}

extension String {
    /// Digits, with zeros in front of them up to a width.
    func padded(to width: Int) -> String { String(repeating: "0", count: max(0, width - count)) + self }
}

/// Keys from one on to the one before another.
struct KeyRange: Sendable {
    var start: ByteBuffer
    var end: ByteBuffer
}
