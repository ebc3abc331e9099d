import NIOCore
import NIOEmbedded
import NIOHTTP2
import TestSupport

@testable import EtcdClient

/// A client's dispatcher and members that do as they are told, with the clock and all bytes between them in the test's hands.
final class EmbeddedCluster {
    /// A connection that the client made.
    final class Link {
        let member: String
        let client: EmbeddedChannel
        let server: EmbeddedChannel
        /// The last messages of the member before the connection is closed.
        var bytesLeft = Int.max
        /// Bytes are carried.
        var isAlive = true

        init(_ member: String, _ loop: EmbeddedEventLoop) {
            self.member = member
            client = EmbeddedChannel(loop: loop)
            server = EmbeddedChannel(loop: loop)
        }
    }

    let loop = EmbeddedEventLoop()
    private(set) var links: [Link] = []
    private(set) var dispatcher: Dispatcher!
    /// The behaviour of a new connection; an error refuses it.
    var onConnect: (Link) -> String? = { _ in nil }
    private let configuration: EtcdConfiguration

    init(
        servers: String = "http://127.0.0.1:1,http://127.0.0.1:2,http://127.0.0.1:3",
        answer: @escaping FakeMember.Answer
    ) throws {
        configuration = try EtcdConfiguration(servers: servers)
        dispatcher = Dispatcher(configuration, loop) { [unowned self] connection, member, _, failed in
            let link = Link(member.description, loop)
            links.append(link)
            if let refusal = onConnect(link) { return failed(refusal) }
            do {
                try connection.install(in: link.client, nil)
                try FakeMember.install(in: link.server, links.count, answer)
                let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
                for channel in [link.client, link.server] { channel.connect(to: address, promise: nil) }
            } catch {
                failed("\(error)")
            }
        }
    }

    deinit {
        dispatcher.close()
        for link in links { link.server.close(promise: nil) }
        loop.run()
    }

    /// Carries messages until neither side has any more.
    func carry() {
        var isMoving = true
        while isMoving {
            loop.run()
            isMoving = false
            // Links may come into being meanwhile.
            for link in links where link.isAlive { isMoving = move(link) || isMoving }
        }
    }

    private func move(_ link: Link) -> Bool {
        var hasMoved = false
        while let bytes = (try? link.client.readOutbound(as: ByteBuffer.self)) ?? nil {
            hasMoved = true
            if link.server.isActive { _ = try? link.server.writeInbound(bytes) }
        }
        while var bytes = (try? link.server.readOutbound(as: ByteBuffer.self)) ?? nil {
            hasMoved = true
            let piece = bytes.readSlice(length: min(link.bytesLeft, bytes.readableBytes)) ?? ByteBuffer()
            link.bytesLeft -= piece.readableBytes
            if link.client.isActive { _ = try? link.client.writeInbound(piece) }
            if link.bytesLeft == 0 { link.server.close(promise: nil) }
        }
        if link.client.isActive != link.server.isActive {
            hasMoved = true
            for channel in [link.client, link.server] { channel.close(promise: nil) }
        }
        return hasMoved
    }

    func advance(by time: TimeAmount) {
        loop.advanceTime(by: time)
        carry()
    }

    /// Sends a call; its result is noted there.
    func call<Request: EtcdRequest>(
        _ request: Request, within timeout: TimeAmount = .seconds(5)
    ) -> Noted<Result<Request.Response, EtcdError>> {
        let notes = Noted<Result<Request.Response, EtcdError>>()
        dispatcher.submit(
            .call(
                Request.self, GRPCMessageBuffer.frame(request.encode), loop.now + timeout,
                check: dispatcher.error(ofAnswerFrom:)
            ) { notes.add($0) })
        carry()
        return notes
    }

    func watch(_ request: WatchRequest, within timeout: TimeAmount = .seconds(5)) -> Noted<WatchUpdate> {
        let notes = Noted<WatchUpdate>()
        dispatcher.submit(
            .watch(
                request, GRPCMessageBuffer.frame(request.encode), loop.now + timeout, dispatcher, configuration
            ) { notes.add($0) })
        carry()
        return notes
    }
}

extension Noted {
    /// The errors among the events.
    func errors<Response>() -> [EtcdError] where Entry == Result<Response, EtcdError> {
        all.compactMap { if case .failure(let error) = $0 { error } else { nil } }
    }
}
