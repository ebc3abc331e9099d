import COpenSSL
import Glibc

/// A client's TLS connection over a socket of its own, for a program that makes one call and ends: no event loop, no
/// channel, every operation blocks until it is done or its deadline has come.
///
/// Not thread-safe. The process must ignore SIGPIPE: a peer that goes away is an error, not a signal.
public final class BlockingTLSStream {
    /// The peer of the connection.
    public let peer: PeerAddress
    private let context: TLSContext
    private let socket: Int32
    private let ssl: OpaquePointer
    private let verdict = PeerVerdict()
    private var isConnected = false
    /// Bytes that came behind the last line.
    private var rest: [UInt8] = []

    /// After so long without a handshake the next peer is tried beside this one (RFC 8305, 5).
    private static let patienceMilliseconds = 250

    /// Connects to the first of several peers that shakes hands: `next` gives them one by one, each when those before have
    /// failed or have had 250 ms. nil where all have `failed` or, at the deadline, have not answered.
    public static func connect(
        _ context: TLSContext, deadline: MonotonicInstant, next: () -> PeerAddress?,
        failed: (PeerAddress, TLSStreamFailure) -> Void
    ) -> BlockingTLSStream? {
        var underWay: [(stream: BlockingTLSStream, events: Int32)] = []
        var (hasMore, nextStart) = (true, MonotonicInstant.now)
        while deadline.millisecondsLeft > 0 {
            if hasMore, underWay.isEmpty || nextStart.millisecondsLeft == 0 {
                guard let peer = next() else {
                    hasMore = false
                    continue
                }
                do throws(TLSStreamFailure) {
                    underWay.append((try BlockingTLSStream(context, peer), POLLOUT))
                    nextStart = .now.advanced(milliseconds: patienceMilliseconds)
                } catch {
                    failed(peer, error)
                }
            }
            guard !underWay.isEmpty else {
                if hasMore { continue }
                return nil
            }
            let isReady = Socket.wait(
                underWay.map { ($0.stream.socket, $0.events) }, deadline: hasMore ? min(nextStart, deadline) : deadline)
            for index in underWay.indices.reversed() where isReady[index] {
                let stream = underWay[index].stream
                do throws(TLSStreamFailure) {
                    guard let events = try stream.advance() else { return stream }
                    underWay[index].events = events
                } catch {
                    failed(stream.peer, error)
                    underWay.remove(at: index)
                    nextStart = .now
                }
            }
        }
        for (stream, _) in underWay { failed(stream.peer, .unreachable("no answer in time")) }
        return nil
    }

    /// Begins to connect.
    private init(_ context: TLSContext, _ peer: PeerAddress) throws(TLSStreamFailure) {
        let socket = try Socket.beginConnecting(to: peer.address)
        OpenSSLErrorQueue.clear()
        guard let ssl = SSL_new(context.pointer) else {
            close(socket)
            throw .refused(OpenSSLErrorQueue.internalError("SSL_new"))
        }
        self.peer = peer
        self.context = context
        self.socket = socket
        self.ssl = ssl
        // The BIO over the socket is OpenSSL's; the socket stays ours to close.
        SSL_set_fd(ssl, socket)
        SSL_set_connect_state(ssl)
        verdict.attach(to: ssl)
        do throws(TLSError) {
            try Self.expect(peer.host, ssl)
        } catch {
            throw .refused(error)
        }
    }

    /// Continues the connection and its handshake as far as possible: returns the event to wait for; nil once it is done.
    private func advance() throws(TLSStreamFailure) -> Int32? {
        if !isConnected {
            try Socket.checkConnected(socket)
            isConnected = true
        }
        if case .wait(let events) = try step({ SSL_do_handshake(ssl) }) { return events }
        return nil
    }

    deinit {
        SSL_free(ssl)
        close(socket)
    }

    /// The name that the server's certificate must have; also sent to it, unless it is an address (RFC 6066).
    private static func expect(_ serverName: String, _ ssl: OpaquePointer) throws(TLSError) {
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName) == 1 { return }
        OpenSSLErrorQueue.clear()
        guard SSL_set1_host(ssl, serverName) == 1, tandem_SSL_set_tlsext_host_name(ssl, serverName) == 1 else {
            throw OpenSSLErrorQueue.internalError("SSL_set1_host")
        }
    }

    /// Sends all of it.
    public func write(_ bytes: [UInt8], deadline: MonotonicInstant) throws(TLSStreamFailure) {
        // Without partial writes, which are off, OpenSSL takes all or nothing.
        try run(deadline) { SSL_write(ssl, bytes, Int32(clamping: bytes.count)) }
    }

    /// The next line, without its line feed. A longer one than `maximum` bytes is an error.
    public func readLine(maximum: Int, deadline: MonotonicInstant) throws(TLSStreamFailure) -> [UInt8] {
        var scanned = 0
        while true {
            if let end = rest[scanned...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { rest.removeSubrange(...end) }
                return Array(rest[..<end])
            }
            scanned = rest.count
            guard rest.count <= maximum else {
                throw .unreachable("the server's answer is longer than \(maximum) bytes")
            }
            var chunk = [UInt8](repeating: 0, count: 16_384)
            let count = try chunk.withUnsafeMutableBytes { buffer in
                Result { () throws(TLSStreamFailure) in
                    try run(deadline) { SSL_read(ssl, buffer.baseAddress, Int32(buffer.count)) }
                }
            }.get()
            rest += chunk[..<Int(count)]
        }
    }

    // MARK: Inside

    private enum Step {
        case done(Int32)
        /// The socket must be ready for this first.
        case wait(Int32)
    }

    /// Repeats one of OpenSSL's operations until it is done; in between it waits for the socket.
    @discardableResult
    private func run(_ deadline: MonotonicInstant, _ operation: () -> Int32) throws(TLSStreamFailure) -> Int32 {
        while true {
            switch try step(operation) {
            case .done(let result): return result
            case .wait(let events):
                guard Socket.wait([(socket, events)], deadline: deadline) == [true] else {
                    throw .unreachable("no answer in time")
                }
            }
        }
    }

    private func step(_ operation: () -> Int32) throws(TLSStreamFailure) -> Step {
        OpenSSLErrorQueue.clear()
        errno = 0
        let result = operation()
        if result > 0 { return .done(result) }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wait(POLLIN)
        case SSL_ERROR_WANT_WRITE: return .wait(POLLOUT)
        case SSL_ERROR_ZERO_RETURN: throw .unreachable("the server closed the connection")
        case SSL_ERROR_SYSCALL: throw .unreachable("the connection was lost: \(Socket.reason(errno))")
        default: throw failure()
        }
    }

    private func failure() -> TLSStreamFailure {
        let errors = OpenSSLErrorQueue.take()
        if let fault = verdict.fault { return .refused(TLSError(.certificateRejected, fault)) }
        guard let cause = errors.first else { return .unreachable("the connection was lost") }
        // A connection that ends without TLS's own goodbye: the server was killed, or something between.
        if cause.library == ERR_LIB_SSL, cause.reason == SSL_R_UNEXPECTED_EOF_WHILE_READING {
            return .unreachable("the connection was cut off")
        }
        if cause.library == ERR_LIB_SSL, cause.reason > SSL_AD_REASON_OFFSET {
            return .refused(
                TLSError(.refusedByPeer, context.explain(alert: cause.reason - SSL_AD_REASON_OFFSET)))
        }
        return .refused(TLSError(.handshakeFailed, "TLS failed: \(cause.text)"))
    }
}

/// OpenSSL as a whole, for a program that lives for one call.
public enum OpenSSLLibrary {
    /// Makes OpenSSL ready without its configuration file, which takes it longer to read than a handshake takes: all that
    /// is not OpenSSL's own default this module sets itself. To be called before anything else of it, once.
    public static func prepareWithoutConfiguration() {
        OPENSSL_init_ssl(UInt64(OPENSSL_INIT_NO_LOAD_CONFIG), nil)
    }
}
