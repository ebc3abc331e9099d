import NIOCore

/// Output that is not encrypted yet: one run of bytes, and one promise for all of it.
struct WaitingWrites {
    private var bytes = ByteBuffer()
    private var promise: EventLoopPromise<Void>?
    private var isEmpty = true
    /// A flush came that could not be done yet.
    var isFlushed = false

    mutating func append(_ more: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        if bytes.readableBytes == 0 {
            bytes = more
        } else {
            var more = more
            bytes.writeBuffer(&more)
        }
        self.promise.setOrCascade(to: promise)
        isEmpty = false
    }

    /// All of it, or nil if nothing was written.
    mutating func take() -> (ByteBuffer, EventLoopPromise<Void>?)? {
        guard !isEmpty else { return nil }
        defer { self = WaitingWrites() }
        return (bytes, promise)
    }

    mutating func fail(_ error: any Error) {
        let promise = promise
        self = WaitingWrites()
        promise?.fail(error)
    }
}

extension Optional where Wrapped == EventLoopPromise<Void> {
    /// Has one promise stand for several: its outcome is that of all that joined it.
    mutating func setOrCascade(to promise: EventLoopPromise<Void>?) {
        guard let promise else { return }
        if let first = self {
            first.futureResult.cascade(to: promise)
        } else {
            self = promise
        }
    }
}
