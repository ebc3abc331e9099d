import NIOCore
import NIOEmbedded
import OpenSSLTLS
import TestSupport

/// A client and a server whose bytes the test carries from one to the other.
final class TLSPair {
    let client: EmbeddedChannel
    let server: EmbeddedChannel
    let clientEvents = Recorder()
    let serverEvents = Recorder()

    init(client: TLSContext, server: TLSContext) throws {
        let loop = EmbeddedEventLoop()
        self.client = EmbeddedChannel(handlers: [TLSHandler(context: client), clientEvents], loop: loop)
        self.server = EmbeddedChannel(handlers: [TLSHandler(context: server), serverEvents], loop: loop)
    }

    deinit {
        // A channel and its handlers keep one another until it is closed.
        for channel in [client, server] { channel.close(promise: nil) }
    }

    /// A pair as a user would set it up: certificates both ways.
    convenience init(
        role: String? = "admin", client offer: [String] = ["jsonrpc"],
        server protocols: [String] = ["jsonrpc", "http/1.1"],
        serverName: String = "localhost"
    ) throws {
        try self.init(
            client: .client(role: role, offering: offer, serverName: serverName), server: .server(protocols: protocols))
    }

    func connect() {
        let address = try? SocketAddress(ipAddress: "127.0.0.1", port: 1)
        for channel in [server, client] {
            if let address { channel.connect(to: address, promise: nil) }
        }
    }

    /// Carries output, in pieces of `size` bytes, until neither side has anything more to say.
    func carry(inPiecesOf size: Int = .max) {
        var isMoving = true
        while isMoving {
            isMoving = move(from: client, to: server, size)
            isMoving = move(from: server, to: client, size) || isMoving
        }
    }

    private func move(from source: EmbeddedChannel, to target: EmbeddedChannel, _ size: Int) -> Bool {
        var hasMoved = false
        while var bytes = (try? source.readOutbound(as: ByteBuffer.self)) ?? nil {
            hasMoved = true
            while target.isActive, let piece = bytes.readSlice(length: min(size, bytes.readableBytes)),
                piece.readableBytes > 0
            {
                // Errors go through the pipeline, where the recorder sees them.
                _ = try? target.writeInbound(piece)
            }
        }
        return hasMoved
    }
}

/// The events that came up the pipeline.
final class Recorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private(set) var text = ""
    private(set) var reads = 0
    private(set) var errors: [TLSError] = []
    private(set) var handshakes: [TLSHandshakeCompleted] = []
    private(set) var isInputClosed = false
    /// How often that was told.
    private(set) var ends = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        text += String(buffer: Self.unwrapInboundIn(data))
        reads += 1
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let handshake = event as? TLSHandshakeCompleted { handshakes.append(handshake) }
        if case ChannelEvent.inputClosed = event { (isInputClosed, ends) = (true, ends + 1) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? TLSError { errors.append(error) }
    }
}

extension TLSContext {
    static func server(protocols: [String] = ["jsonrpc", "http/1.1"], version: TLSVersion = .tls13) throws -> TLSContext
    {
        let certificates = Certificates.shared
        return try TLSContext(
            server: TLSServerConfiguration(
                identity: .of("server"), clientCAFile: certificates.ca, minimumVersion: version,
                applicationProtocols: protocols))
    }

    static func client(
        role: String? = "admin", offering protocols: [String] = ["jsonrpc"], serverName: String = "localhost",
        ca: String = Certificates.shared.ca
    ) throws -> TLSContext {
        try TLSContext(
            client: TLSClientConfiguration(
                caFile: ca, identity: role.map { .of($0) }, serverName: serverName, applicationProtocols: protocols))
    }
}

extension TLSIdentity {
    static func of(_ name: String) -> TLSIdentity {
        let certificates = Certificates.shared
        return TLSIdentity(
            certificateChainFile: certificates.certificate(name), privateKeyFile: certificates.key(name))
    }
}
