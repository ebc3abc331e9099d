import IPAM
import NIOCore
import TandemAPI

/// The watches of one connection. On its event loop alone.
final class WatchConnection: WatchOutlet {
    static let maximum = 64

    let session: RPCSession
    let hub: WatchHub
    private let form: WatchForm
    private let send: (ByteBuffer) -> Void
    /// Whether the client has read most of the sent bytes.
    let isWritable: () -> Bool
    /// A watch has ended by itself, and its last line is written.
    private let onEnd: () -> Void
    private var watches: [String: Watch] = [:]
    private var last = 0

    init(
        _ session: RPCSession, _ hub: WatchHub, _ form: WatchForm, isWritable: @escaping () -> Bool,
        onEnd: @escaping () -> Void = {}, send: @escaping (ByteBuffer) -> Void
    ) {
        (self.session, self.hub, self.form) = (session, hub, form)
        (self.isWritable, self.onEnd, self.send) = (isWritable, onEnd, send)
    }

    var isEmpty: Bool { watches.isEmpty }

    /// Throws RESOURCE_EXHAUSTED past the limit of a connection. It tells nothing before it is told to begin.
    func add(_ query: WatchQuery, _ start: Engine.WatchStart) throws(APIError) -> Watch {
        guard watches.count < Self.maximum else {
            throw APIError(
                .resourceExhausted, reason: "TooManyWatches",
                "a connection has at most \(Self.maximum) watches; end one with Unwatch, or open another connection")
        }
        last += 1
        let watch = Watch(String(last), query, start, hub, to: self)
        watches[watch.name] = watch
        hub.add(watch)
        return watch
    }

    /// Ends one; NOT_FOUND where there is none of the name.
    func remove(_ name: String) throws(APIError) {
        guard let watch = watches.removeValue(forKey: name) else {
            throw APIError(.notFound, reason: "NotFound", "this connection has no watch of that name")
        }
        watch.end(nil)
    }

    func becameWritable() {
        for watch in watches.values { watch.becameWritable() }
    }

    func write(_ batch: inout WatchBatch, of name: String) { send(batch.line(form, name)) }

    func ended(_ name: String, _ error: APIError?) {
        guard watches.removeValue(forKey: name) != nil else { return }
        if let error {
            var buffer = ByteBuffer()
            form.write(error, of: name, to: &buffer)
            send(buffer)
        }
        onEnd()
    }

    /// The connection is gone.
    func close() {
        let all = watches.values
        watches = [:]
        for watch in all { watch.end(nil) }
    }
}
