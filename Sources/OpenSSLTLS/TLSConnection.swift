import COpenSSL
import NIOCore

/// One TLS connection without its socket: bytes in, bytes out. Not thread-safe.
final class TLSConnection {
    enum Step {
        case done
        /// Nothing more can be had until bytes come from the peer.
        case needsBytes
        /// The peer has said that it sends no more.
        case peerIsDone
    }

    let bio: ByteBufferBIO
    private let context: TLSContext
    private let ssl: OpaquePointer
    private let verdict = PeerVerdict()

    init(_ context: TLSContext, allocator: ByteBufferAllocator) throws(TLSError) {
        OpenSSLErrorQueue.clear()
        let bio = ByteBufferBIO(allocator: allocator)
        guard let ssl = SSL_new(context.pointer) else { throw OpenSSLErrorQueue.internalError("SSL_new") }
        self.context = context
        self.bio = bio
        self.ssl = ssl
        verdict.attach(to: ssl)
        let bioPointer = try bio.makeBIO()
        // Takes the BIO over, once for both ways.
        SSL_set_bio(ssl, bioPointer, bioPointer)
        switch context.role {
        case .server: SSL_set_accept_state(ssl)
        case .client(let serverName):
            SSL_set_connect_state(ssl)
            try expect(serverName)
        }
    }

    deinit {
        SSL_free(ssl)
    }

    /// The name that the server's certificate must have; also sent to it, unless it is an address (RFC 6066).
    private func expect(_ serverName: String) throws(TLSError) {
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName) == 1 { return }
        OpenSSLErrorQueue.clear()
        guard SSL_set1_host(ssl, serverName) == 1, tandem_SSL_set_tlsext_host_name(ssl, serverName) == 1 else {
            throw OpenSSLErrorQueue.internalError("SSL_set1_host")
        }
    }

    /// Goes on with the handshake. An alert that a failure causes is in the BIO.
    func handshake() throws(TLSError) -> Step {
        OpenSSLErrorQueue.clear()
        let result = SSL_do_handshake(ssl)
        return result == 1 ? .done : try step(after: result, in: .handshake)
    }

    /// The result of the handshake; meaningful once it is done.
    var agreement: TLSHandshakeCompleted {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        let certificate = SSL_get1_peer_certificate(ssl)
        defer { X509_free(certificate) }
        return TLSHandshakeCompleted(
            applicationProtocol: name.map {
                String(decoding: UnsafeBufferPointer(start: $0, count: Int(length)), as: UTF8.self)
            },
            peerCertificate: certificate.map(PeerCertificate.init), isResumed: SSL_session_reused(ssl) == 1)
    }

    /// Appends all that can be decrypted by now.
    func read(into plaintext: inout ByteBuffer) throws(TLSError) -> Step {
        repeat {
            OpenSSLErrorQueue.clear()
            var result: Int32 = 0
            plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: 1) { bytes in
                result = SSL_read(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
                return max(0, Int(result))
            }
            if result <= 0 { return try step(after: result, in: .data) }
            // Asking once more than there is to read costs a tenth of a call.
        } while bio.hasInbound || SSL_has_pending(ssl) == 1
        return .needsBytes
    }

    /// Encrypts all of it into the BIO, in as few records as will hold it.
    func write(_ plaintext: ByteBuffer) throws(TLSError) {
        let records = plaintext.readableBytes / Self.recordSize + 1
        bio.reserveOutbound(plaintext.readableBytes + records * Self.recordOverhead)
        var rest = plaintext
        while rest.readableBytes > 0 {
            OpenSSLErrorQueue.clear()
            let count = rest.readWithUnsafeReadableBytes { bytes in
                let written = SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
                return (max(0, Int(written)), written)
            }
            // The BIO takes everything, so that a write never waits.
            if count <= 0 { _ = try step(after: count, in: .data) }
        }
    }

    private static let recordSize = 16_384
    /// Header, content type, padding and tag of a record; a little more than TLS 1.3 and 1.2 need.
    private static let recordOverhead = 64

    /// Tells the peer that nothing more will be sent.
    func sendCloseNotify() {
        OpenSSLErrorQueue.clear()
        SSL_shutdown(ssl)
        OpenSSLErrorQueue.clear()
    }

    // MARK: Errors

    private enum Phase {
        case handshake, data
    }

    private func step(after result: Int32, in phase: Phase) throws(TLSError) -> Step {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .needsBytes
        case SSL_ERROR_ZERO_RETURN: return .peerIsDone
        default: throw failure(in: phase)
        }
    }

    private func failure(in phase: Phase) -> TLSError {
        let errors = OpenSSLErrorQueue.take()
        if phase == .handshake, let fault = verdict.fault { return TLSError(.certificateRejected, fault) }
        guard let cause = errors.first else {
            return TLSError(.internal, "OpenSSL failed without a reason")
        }
        // OpenSSL numbers alerts from the peer by their own number above this one.
        if cause.library == ERR_LIB_SSL, cause.reason > SSL_AD_REASON_OFFSET {
            return TLSError(.refusedByPeer, context.explain(alert: cause.reason - SSL_AD_REASON_OFFSET))
        }
        switch phase {
        case .handshake: return TLSError(.handshakeFailed, "the TLS handshake failed: \(cause.text)")
        case .data: return TLSError(.protocolViolation, "the peer broke the TLS protocol: \(cause.text)")
        }
    }
}
