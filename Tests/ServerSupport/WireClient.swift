import Foundation
public import NIOCore
import NIOPosix
import OpenSSLTLS
import Synchronization
public import TandemAPI
import TestSupport

/// A client of the stream that does as it is told: it reads only when it is asked to, and sends any bytes.
public final class WireClient: Sendable {
    private let channel: any Channel
    private let received: Received

    private final class Received: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        /// The received bytes, and how many of them are known to have no line break.
        private let state = Mutex((bytes: ByteBuffer(), searched: 0))
        let isClosed = Atomic<Bool>(false)
        let changed = DispatchSemaphore(value: 0)
        private let reads: Bool

        init(reads: Bool) { self.reads = reads }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = Self.unwrapInboundIn(data)
            state.withLock { _ = $0.bytes.writeBuffer(&bytes) }
            changed.signal()
        }
        func channelInactive(context: ChannelHandlerContext) { end() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.inputClosed) = event as? ChannelEvent { end() }
            // Not before: without its end nothing would be asked for.
            if event is TLSHandshakeCompleted, !reads {
                try? context.channel.syncOptions?.setOption(.autoRead, value: false)
            }
        }
        private func end() {
            isClosed.store(true, ordering: .sequentiallyConsistent)
            changed.signal()
        }
        /// Without its line break; nil where none is whole.
        func takeLine() -> ByteBuffer? {
            state.withLock { state in
                let end: Int? = state.bytes.withUnsafeReadableBytes { bytes in
                    guard let base = bytes.baseAddress,
                        let hit = memchr(base + state.searched, 10, bytes.count - state.searched)
                    else { return nil }
                    return UnsafeRawPointer(hit) - base
                }
                state.searched = end == nil ? state.bytes.readableBytes : 0
                guard let end else { return nil }
                let line = state.bytes.readSlice(length: end)
                state.bytes.moveReaderIndex(forwardBy: 1)
                return line
            }
        }
        func takeAll() -> ByteBuffer {
            state.withLock { state in
                defer { state = (ByteBuffer(), 0) }
                return state.bytes
            }
        }
    }

    /// `reads`: whether it reads the server's answers; else hardly more than the handshake.
    public init(port: Int, role: String? = "admin", protocols: [String] = ["jsonrpc"], reads: Bool = true) throws {
        let certificates = Certificates.shared
        let tls = try TLSContext(
            client: TLSClientConfiguration(
                caFile: certificates.ca,
                identity: role.map {
                    TLSIdentity(
                        certificateChainFile: certificates.certificate($0), privateKeyFile: certificates.key($0))
                }, serverName: "127.0.0.1", applicationProtocols: protocols))
        let received = Received(reads: reads)
        self.received = received
        channel = try ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.socketOption(.so_rcvbuf), value: 16 << 10)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([TLSHandler(context: tls), received])
                }
            }.connect(host: "127.0.0.1", port: port).wait()
    }

    deinit { channel.close(promise: nil) }

    /// Returns once the bytes have left, or the connection has failed.
    public func send(_ text: String) {
        try? channel.writeAndFlush(ByteBuffer(string: text)).wait()
    }

    /// Goes away, whatever is still to be read: with a goodbye, or by a reset. Returns once the socket is closed.
    public func leave(abruptly: Bool) throws {
        let channel = channel
        if abruptly {
            try (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).wait()
        } else {
            try channel.close(mode: .output).wait()
        }
        // Below TLS, which would wait for the server's goodbye; where that has come by now, the channel is closed already.
        try? channel.eventLoop.submit {
            try channel.pipeline.syncOperations.context(handlerType: TLSHandler.self).close(promise: nil)
        }.wait()
        try channel.closeFuture.wait()
    }

    /// Sends no more, and reads on: said in TLS's words, or by TCP alone.
    public func endOutput(byTCPAlone: Bool = false) throws {
        let channel = channel
        guard byTCPAlone else {
            do {
                return try channel.close(mode: .output).wait()
            } catch ChannelError.alreadyClosed {
                // The server has answered, and has closed already.
                return
            }
        }
        try channel.eventLoop.flatSubmit {
            let ended = channel.eventLoop.makePromise(of: Void.self)
            do {
                try channel.pipeline.syncOperations.context(handlerType: TLSHandler.self)
                    .close(mode: .output, promise: ended)
            } catch {
                ended.fail(error)
            }
            return ended.futureResult
        }.wait()
    }

    /// All that the server says from here on until it ends the connection; nil where it does not within half a minute.
    public func rest() -> String? {
        guard isClosedByServer() else { return nil }
        return String(buffer: received.takeAll())
    }

    /// On its way; may wait for the server to read.
    public func begin(_ text: String) {
        channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
    }

    /// The next line; nil when the connection has ended, or nothing came for half a minute.
    public func receive() -> ByteBuffer? {
        while true {
            if let line = received.takeLine() { return line }
            if received.isClosed.load(ordering: .sequentiallyConsistent) { return received.takeLine() }
            guard received.changed.wait(timeout: .now() + 30) == .success else { return nil }
        }
    }

    /// From here on everything is read that comes.
    public func beginReading() { try? channel.setOption(.autoRead, value: true).wait() }

    public var isClosed: Bool { received.isClosed.load(ordering: .sequentiallyConsistent) }

    /// The next answer; nil where there is none, as above.
    public func receiveAnswer() -> JSONValue? {
        receive().flatMap { try? JSONValue(parsing: String(buffer: $0)) }
    }

    /// Whether the server ends the connection within half a minute.
    public func isClosedByServer() -> Bool {
        while !received.isClosed.load(ordering: .sequentiallyConsistent) {
            guard received.changed.wait(timeout: .now() + 30) == .success else { return false }
        }
        return true
    }
}

extension ByteBuffer {
    /// How often `text` is in it.
    public func occurrences(of text: String) -> Int {
        // JSON has no zero byte in it, so that it can be searched as a C string.
        var bytes = withUnsafeReadableBytes { Array($0) }
        bytes.append(0)
        return bytes.withUnsafeBytes { bytes in
            var count = 0
            var rest = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            while let start = rest, let hit = strstr(start, text) {
                count += 1
                rest = UnsafePointer(hit) + text.utf8.count
            }
            return count
        }
    }
}

/// A bare TCP connection to loopback.
public final class TCPSocket {
    private let descriptor: Int32

    public init?(port: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { return nil }
    }

    deinit { close(descriptor) }

    public func send(_ bytes: [UInt8]) {
        _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// All that the other side says until it ends the connection, or is silent for half a minute.
    public func rest() -> String {
        var timeout = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var (bytes, all) = ([UInt8](repeating: 0, count: 4096), [UInt8]())
        while case let count = recv(descriptor, &bytes, bytes.count, 0), count > 0 { all += bytes[..<count] }
        return String(decoding: all, as: UTF8.self)
    }

    /// Whether the other side ends the connection within `seconds`.
    public func isClosed(within seconds: Int) -> Bool {
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            if count == 0 { return true }
            if count < 0 { return errno == ECONNRESET }
        }
    }
}
