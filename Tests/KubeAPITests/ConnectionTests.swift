import NIOCore
import NIOEmbedded
import NIOHTTP1
import TandemAPI
import TestSupport
import Testing

@testable import KubeAPI

@Suite("One connection to an API server")
struct ConnectionTests {
    private func head(_ status: HTTPResponseStatus = .ok, keepAlive: Bool = true) -> HTTPClientResponsePart {
        .head(HTTPResponseHead(version: .http1_1, status: status, headers: keepAlive ? [:] : ["connection": "close"]))
    }

    @Test("one request after the other")
    func course() {
        var state = ConnectionState()
        #expect(state.isIdle && !state.isReused)
        var begun = [state.begin(), state.begin()]
        #expect(begun == [true, false] && state.isWaiting)
        #expect(state.receive(head(.created)) == .tell(status: 201, retryAfter: nil))
        #expect(state.isInAnswer)
        #expect(state.receive(.body(ByteBuffer())) == .pass)
        #expect(state.receive(.end(nil)) == .end(keepAlive: true))
        #expect(state.isIdle && state.isReused)
        begun = [state.begin()]
        #expect(begun == [true])
        #expect(state.receive(head(keepAlive: false)) == .tell(status: 200, retryAfter: nil))
        #expect(state.receive(.end(nil)) == .end(keepAlive: false))
        begun = [state.begin()]
        #expect(begun == [false])
    }

    @Test("an unsolicited answer ends it")
    func unasked() {
        for part in [head(), .body(ByteBuffer()), .end(nil)] {
            var state = ConnectionState()
            #expect(state.receive(part) == .close)
            #expect(state.receive(part) == .pass)
        }
        var state = ConnectionState()
        _ = state.begin()
        #expect(state.receive(head()) == .tell(status: 200, retryAfter: nil))
        #expect(state.receive(head()) == .close)
    }

    /// Notes when more is asked of the socket.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = Any
        let noted: Noted<Int>

        init(_ noted: Noted<Int>) { self.noted = noted }

        func read(context: ChannelHandlerContext) {
            noted.add(1)
            context.read()
        }
    }

    @Test("a reader that takes nothing lets the server wait, and goes on when it takes again")
    func backPressure() async throws {
        let (channel, reads) = (NIOAsyncTestingChannel(), Noted<Int>())
        let loop = channel.testingEventLoop
        let future = try await loop.executeInContext {
            let connection = KubeConnection()
            try channel.pipeline.syncOperations.addHandlers([Reads(reads), connection])
            let promise = loop.makePromise(of: HTTPResponse.self)
            let request = HTTPRequest(method: .GET, path: "/")
            let exchange = Exchange(
                request, request.head(ServerURL(host: "h", port: 1), token: "t"), headTimeout: .hours(1),
                bodyTimeout: .hours(1), silence: .hours(1), promise)
            #expect(connection.send(exchange))
            return promise.futureResult
        }
        guard case .head(let sent)? = try await channel.readOutbound(as: HTTPClientRequestPart.self) else {
            Issue.record("nothing was sent")
            return
        }
        #expect(sent.headers["authorization"] == ["Bearer t"] && sent.headers["host"] == ["h:1"])
        try await channel.writeInbound(head())
        var body: ResponseBody.AsyncIterator? = try await future.get().body.makeAsyncIterator()

        func receive() async throws {
            try await channel.writeInbound(HTTPClientResponsePart.body(ByteBuffer(string: "x")))
            channel.pipeline.read()
            await loop.run()
        }
        for _ in 0..<7 { try await receive() }
        #expect(reads.all.count == 7)
        for _ in 0..<3 { try await receive() }
        #expect(reads.all.count == 7)
        for _ in 0..<10 { _ = try await body?.next() }
        await loop.run()
        #expect(reads.all.count == 8)
        // The caller reads no more.
        body = nil
        while channel.isActive { await loop.run() }
    }
}
