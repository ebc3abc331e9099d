import NIOCore

/// A call or a watch that is not done: waiting for a connection, or on one. On the client's event loop alone.
final class Exchange {
    let path: String
    /// As it is sent.
    let message: ByteBuffer
    let isWatch: Bool
    /// A watch has one until it has begun.
    let deadline: NIODeadline
    /// The fault of a message, which then ends it; nil where there is none.
    let onMessage: (ByteBuffer) -> EtcdError?
    /// nil where the member was done well. Called once.
    let onEnd: (EtcdError?) -> Void

    var timer: Scheduled<Void>?
    /// On which connection it is, and since when; nil while it waits for one.
    var course: Course? {
        didSet { if !isReading { course?.stream.setReading(false) } }
    }
    /// A token was asked for anew because of it, and is not asked for again.
    var hasRenewedToken = false
    var isDone = false
    private var isReading = true

    struct Course {
        let connection: MemberConnection
        let stream: GRPCStreamHandler
        let start: NIODeadline
        /// `MemberConnection.reads` then.
        let reads: Int
        var isTimedOut = false
    }

    init(
        path: String, message: ByteBuffer, isWatch: Bool = false, deadline: NIODeadline,
        onMessage: @escaping (ByteBuffer) -> EtcdError?, onEnd: @escaping (EtcdError?) -> Void
    ) {
        self.path = path
        self.message = message
        self.isWatch = isWatch
        self.deadline = deadline
        self.onMessage = onMessage
        self.onEnd = onEnd
    }

    /// Whether messages are taken, or left with the member.
    func setReading(_ isReading: Bool) {
        self.isReading = isReading
        course?.stream.setReading(isReading)
    }

    /// A call with one answer. `check` returns the fault of an answer's origin.
    static func call<Request: EtcdRequest>(
        _ request: Request.Type, _ message: ByteBuffer, _ deadline: NIODeadline,
        check: @escaping (ResponseHeader) -> EtcdError?,
        then: @escaping (Result<Request.Response, EtcdError>) -> Void
    ) -> Exchange {
        var answer: Request.Response?
        return Exchange(
            path: Request.method.path, message: message, deadline: deadline,
            onMessage: { message in
                guard answer == nil else {
                    return EtcdError(.internal, "the member answered a call twice", mayHaveBeenApplied: true)
                }
                do throws(EtcdError) {
                    let response: Request.Response = try .decoding(message)
                    answer = response
                    return check(response.header)
                } catch {
                    return error
                }
            },
            onEnd: { error in
                if let error { return then(.failure(error)) }
                guard let answer else {
                    return then(
                        .failure(EtcdError(.internal, "the member gave no answer to a call", mayHaveBeenApplied: true)))
                }
                then(.success(answer))
            })
    }
}

extension ProtobufMessage {
    static func decoding(_ message: ByteBuffer) throws(EtcdError) -> Self {
        do throws(ProtobufError) {
            return try Self(from: ProtobufReader(message))
        } catch {
            throw EtcdError(.internal, "the member's answer can't be read: \(error)", mayHaveBeenApplied: true)
        }
    }
}
