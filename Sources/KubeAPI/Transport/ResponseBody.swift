import NIOCore

/// The bytes of an answer as they come. Unread bytes stay with the server but for `maximumChunks` reads of the socket.
typealias ResponseBody = NIOThrowingAsyncSequenceProducer<
    ByteBuffer, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, ResponseBodyDelegate
>

/// The source of an answer's bytes: its connection. On its event loop alone.
protocol ResponseSource: AnyObject {
    /// The reader of the answer of that number takes more.
    func resume(_ number: Int)
    /// It takes nothing more.
    func abandon(_ number: Int)
}

/// Carries the demand of an answer's reader to its connection.
final class ResponseBodyDelegate: NIOAsyncSequenceProducerDelegate {
    private let connection: NIOLoopBound<any ResponseSource>
    private let loop: any EventLoop
    private let number: Int

    /// `number` is that of the request on its connection: wishes come late.
    init(_ connection: any ResponseSource, number: Int, _ loop: any EventLoop) {
        self.connection = NIOLoopBound(connection, eventLoop: loop)
        self.loop = loop
        self.number = number
    }

    func produceMore() {
        loop.execute { self.connection.value.resume(self.number) }
    }

    func didTerminate() {
        loop.execute { self.connection.value.abandon(self.number) }
    }
}

struct HTTPResponse: Sendable {
    let status: Int
    let retryAfter: String?
    let body: ResponseBody
}
