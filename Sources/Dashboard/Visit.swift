import NIOCore
import NIOHTTP1
import TandemAPI
import TandemClient

/// One connection of a browser: its requests, one after the other.
struct Visit {
    typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
    typealias Outbound = NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>

    let gate: Gate
    let links: [ServerLink]
    let user: String

    /// Pages hear of changes that often at most.
    private static let pace = Duration.milliseconds(200)

    /// Returns when the connection has ended.
    func run(_ connection: Connection) async {
        // A failure here concerns the two of them alone, and ends with the connection.
        try? await connection.executeThenClose { inbound, outbound in
            var parts = inbound.makeAsyncIterator()
            while let request = try await Request(&parts) {
                guard try await answer(request, connection.channel, outbound) else { return }
            }
        }
    }

    static func refuse(_ connection: Connection) async {
        try? await connection.executeThenClose { _, outbound in
            try await write(
                Answer(Refusal(status: .serviceUnavailable, text: "too many connections; close a page")), false,
                outbound)
        }
    }

    /// A head, and a body of which no more is kept than may be.
    private struct Request {
        var head: HTTPRequestHead
        var body = ByteBuffer()
        var isTooLarge = false

        /// nil where no other one comes.
        init?(_ parts: inout NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator) async throws {
            guard case .head(let head)? = try await parts.next() else { return nil }
            self.head = head
            var length = 0
            while let part = try await parts.next() {
                switch part {
                case .head: return nil
                case .end: return
                case .body(var bytes):
                    length += bytes.readableBytes
                    isTooLarge = length > Gate.maximumBodyBytes
                    // A client that still writes may not see an answer: it is heard out, up to a point.
                    guard length <= 64 * Gate.maximumBodyBytes else { return }
                    if !isTooLarge { body.writeBuffer(&bytes) }
                }
            }
            return nil
        }
    }

    /// Whether the connection goes on.
    private func answer(_ request: Request, _ channel: any Channel, _ outbound: Outbound) async throws -> Bool {
        let goesOn = request.head.isKeepAlive && !request.isTooLarge
        switch gate.route(request.head) {
        case .failure(let refusal): try await Self.write(Answer(refusal), goesOn, outbound)
        case .success where request.isTooLarge:
            let text = "a request has \(Gate.maximumBodyBytes) bytes at most"
            try await Self.write(Answer(Refusal(status: .payloadTooLarge, text: text)), goesOn, outbound)
        case .success(.changes(let number)):
            await tell(links[number], connection: channel, outbound)
            return false
        case .success(let route): try await Self.write(await answer(route, request.body), goesOn, outbound)
        }
        return goesOn
    }

    private func answer(_ route: Route, _ body: ByteBuffer) async -> Answer {
        switch route {
        case .entrance: return Answer(seeOther: gate.path)
        case .asset(let asset): return Answer(asset)
        case .servers:
            let names = links.map { JSONValue.string($0.name) }
            return Answer(["servers": .array(names), "user": .string(user), "version": .string(BuildInfo.version)])
        case .calls(let number):
            do throws(Refusal) {
                let calls = try Calls(body.readableBytesView)
                return await Self.unlessLost {
                    calls.answer(try await links[number].calls(calls.calls.map { ($0.method, $0.params) }))
                }
            } catch {
                return Answer(error)
            }
        case .look(let number, let what): return await Self.unlessLost { try await links[number].look(what) }
        case .changes: return Answer(Refusal(status: .internalServerError, text: "a stream"))
        }
    }

    /// 502 where the server behind was not reached, or refuses.
    private static func unlessLost(_ body: () async throws -> JSONValue) async -> Answer {
        do {
            return Answer(try await body())
        } catch {
            return Answer(["error": Calls.error(error)], status: .badGateway)
        }
    }

    /// Until the browser goes, or the program ends.
    private func tell(_ link: ServerLink, connection channel: any Channel, _ outbound: Outbound) async {
        let work = Task {
            let buffer = ChangeBuffer()
            async let following: Void = ChangeFollower(configuration: link.configuration, buffer: buffer).run()
            try await outbound.write(.head(Answer.stream))
            while let message = await buffer.next() {
                try await outbound.write(.body(.byteBuffer(Answer.event(message))))
                try await Task.sleep(for: Self.pace)
            }
            await following
        }
        channel.closeFuture.whenComplete { _ in work.cancel() }
        await withTaskCancellationHandler {
            _ = await work.result
        } onCancel: {
            work.cancel()
        }
    }

    private static func write(_ answer: Answer, _ keepAlive: Bool, _ outbound: Outbound) async throws {
        try await outbound.write(
            contentsOf: [
                .head(answer.head(keepAlive: keepAlive)), .body(.byteBuffer(answer.body)), .end(nil),
            ])
    }
}

extension ServerLink {
    /// `HOST:PORT`, as it is given to `--server`.
    nonisolated var name: String {
        configuration.servers.map { $0.host.contains(":") ? "[\($0.host)]:\($0.port)" : "\($0.host):\($0.port)" }
            .joined(separator: ",")
    }
}
