import IPAM
import NIOCore
import TandemAPI

/// Events of one notification, as every watch of one kind gets them.
struct WatchBatch {
    /// Bytes after which a notification ends, whatever its limit of events: one waits in memory for each reader that is slow.
    static let maximumBytes = 256 << 10

    /// One behind the other, with commas between.
    private(set) var body = ByteBuffer()
    private(set) var count = 0
    /// All changes up to here have been sent with it and before; nil during a listing.
    private(set) var version: UInt64?
    /// The last line that was made of it: a connection's first watch has the same name everywhere.
    private var made: (form: WatchForm, name: String, line: ByteBuffer)?

    var isFull: Bool { body.readableBytes >= Self.maximumBytes }

    mutating func append(_ text: [UInt8], version: UInt64? = nil) {
        if count > 0 { body.writeInteger(UInt8(ascii: ",")) }
        body.writeBytes(text)
        count += 1
        self.version = version
        made = nil
    }

    /// As it stands on the wire.
    mutating func line(_ form: WatchForm, _ name: String) -> ByteBuffer {
        if let made, made.form == form, made.name == name { return made.line }
        var line = ByteBuffer()
        form.write(self, of: name, to: &line)
        made = (form, name, line)
        return line
    }

    static func bookmark(_ version: UInt64) -> WatchBatch {
        var batch = WatchBatch()
        batch.append(Array(#"{"type":"BOOKMARK","resourceVersion":"\#(version)"}"#.utf8), version: version)
        return batch
    }
}

/// How notifications stand on the wire.
enum WatchForm {
    /// JSON-RPC's notifications, one a line.
    case notifications
    /// Their params, one a line.
    case lines
    /// The same as server-sent events.
    case serverSentEvents

    var contentType: StaticString {
        switch self {
        case .notifications, .lines: "application/x-ndjson"
        case .serverSentEvents: "text/event-stream"
        }
    }

    func write(_ batch: WatchBatch, of subscription: String, to buffer: inout ByteBuffer) {
        buffer.reserveCapacity(minimumWritableBytes: batch.body.readableBytes + 128)
        switch self {
        case .notifications: buffer.writeStaticString(#"{"jsonrpc":"2.0","method":"watch","params":"#)
        case .lines: break
        case .serverSentEvents:
            // One that comes back says the last id: that of a listing would leave out the rest of it.
            if let version = batch.version { buffer.writeString("id: \(version)\n") }
            buffer.writeStaticString("event: watch\ndata: ")
        }
        buffer.writeStaticString(#"{"subscription":""#)
        buffer.writeString(subscription)
        buffer.writeStaticString(#"","events":["#)
        buffer.writeImmutableBuffer(batch.body)
        buffer.writeStaticString("]}")
        end(&buffer)
    }

    /// The last line of a watch that ends for a reason.
    func write(_ error: APIError, of subscription: String, to buffer: inout ByteBuffer) {
        var writer = JSONWriter()
        writer.beginObject()
        if case .notifications = self {
            writer.key("subscription")
            writer.string(subscription)
        }
        writer.key("error")
        error.write(to: &writer)
        writer.endObject()
        switch self {
        case .notifications: buffer.writeStaticString(#"{"jsonrpc":"2.0","method":"watch","params":"#)
        case .lines: break
        case .serverSentEvents: buffer.writeStaticString("event: error\ndata: ")
        }
        buffer.writeBytes(writer.bytes)
        end(&buffer)
    }

    private func end(_ buffer: inout ByteBuffer) {
        switch self {
        case .notifications: buffer.writeStaticString("}\n")
        case .lines: buffer.writeStaticString("\n")
        case .serverSentEvents: buffer.writeStaticString("\n\n")
        }
    }
}
