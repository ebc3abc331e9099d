import COpenSSL
import Glibc

/// The shared state of all connections of one server, or to one server: keys, trust and session tickets.
///
/// Files are read once, when it is made; that blocks. Proof of `@unchecked Sendable`: nothing changes after `init`, and
/// OpenSSL lets threads share an `SSL_CTX` that is not changed.
public final class TLSContext: @unchecked Sendable {
    enum Role {
        case server
        case client(serverName: String)
    }

    let pointer: OpaquePointer
    let role: Role
    private let protocols: ALPNProtocols
    /// nil where no peer is asked for a certificate.
    private let trust: Trust?
    /// The file of this side's own certificate; nil where it shows none.
    private let ownCertificateFile: String?
    /// The subjects of the clients' authorities whose revocations are not listed, where lists are given: their clients are let in.
    public let authoritiesWithoutRevocations: [String]
    /// Of the peers' authorities the first to end; nil where no peer is asked for a certificate.
    public let authorityExpiry: Expiry?
    /// Of the lists of revocations the first to run out; nil where there is none, or none that says when.
    public let revocationExpiry: Expiry?

    /// Throws `TLSError` of one of the codes for setting up.
    public convenience init(server configuration: TLSServerConfiguration) throws(TLSError) {
        try self.init(
            .server, TLS_server_method(), configuration.applicationProtocols, configuration.identity,
            configuration.clientCAFile.map { Trust(.clients, file: $0) }
        ) { files throws(TLSError) in
            guard let authorities = configuration.clientCAFile else { return [] }
            try files.announceAuthorities(authorities)
            return try configuration.clientCRLFile.map { list throws(TLSError) in try files.loadRevocations(list) }
                ?? []
        }
        try setMinimumVersion(configuration.minimumVersion)
        try CipherSuites.set(configuration.cipherSuites, on: pointer)
        try ContextFiles(context: pointer).load(configuration.identity)
        // Asked for, not insisted on: the rights of clients without one are not for TLS to decide.
        if configuration.clientCAFile != nil { SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil) }
        enableTickets()
        if !protocols.wireFormat.isEmpty {
            SSL_CTX_set_alpn_select_cb(
                pointer, ALPNProtocols.select, Unmanaged.passUnretained(protocols).toOpaque())
        }
    }

    /// Throws `TLSError` of one of the codes for setting up.
    public convenience init(client configuration: TLSClientConfiguration) throws(TLSError) {
        try self.init(
            .client(serverName: configuration.serverName), TLS_client_method(), configuration.applicationProtocols,
            configuration.identity,
            configuration.believesAnyServer ? nil : Trust(.servers, file: configuration.caFile))
        try setMinimumVersion(.tls12)
        if let identity = configuration.identity { try ContextFiles(context: pointer).load(identity) }
        SSL_CTX_set_verify(pointer, configuration.believesAnyServer ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nil)
        tandem_SSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        let offer = protocols.wireFormat
        // Unlike most of OpenSSL's calls, this one answers 0 when it has done well.
        if !offer.isEmpty, SSL_CTX_set_alpn_protos(pointer, offer, UInt32(offer.count)) != 0 {
            throw OpenSSLErrorQueue.internalError("SSL_CTX_set_alpn_protos")
        }
    }

    /// `revocations` gives the authorities without a list.
    private init(
        _ role: Role, _ method: OpaquePointer?, _ applicationProtocols: [String], _ identity: TLSIdentity?,
        _ trust: Trust?, revocations: (ContextFiles) throws(TLSError) -> [String] = { _ in [] }
    ) throws(TLSError) {
        let protocols = try ALPNProtocols(applicationProtocols)
        OpenSSLErrorQueue.clear()
        guard let pointer = SSL_CTX_new(method) else { throw OpenSSLErrorQueue.internalError("SSL_CTX_new") }
        do throws(TLSError) {
            let files = ContextFiles(context: pointer)
            if let trust { try files.loadAuthorities(trust) }
            authoritiesWithoutRevocations = try revocations(files)
            let store = SSL_CTX_get_cert_store(pointer)
            authorityExpiry = Expiry.ofAuthorities(in: store)
            revocationExpiry = Expiry.ofRevocations(in: store).flatMap { $0.seconds == .max ? nil : $0 }
        } catch {
            SSL_CTX_free(pointer)
            throw error
        }
        self.protocols = protocols
        self.trust = trust
        ownCertificateFile = identity?.certificateChainFile
        self.role = role
        self.pointer = pointer
        // Neither compression nor renegotiation.
        tandem_SSL_CTX_set_safe_options(pointer)
        // Buffers of idle connections are given back: 10,000 of them would hold 340 MB.
        tandem_SSL_CTX_set_mode(pointer, Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        // Header and body of a record in one read of the BIO.
        tandem_SSL_CTX_set_read_ahead(pointer, 1)
        try CipherSuites.setDefault(on: pointer)
    }

    deinit {
        SSL_CTX_free(pointer)
    }

    // MARK: Own certificate

    /// The name in this side's own certificate; nil where it shows none.
    public var ownCertificate: PeerCertificate? {
        // The certificate stays the context's.
        SSL_CTX_get0_certificate(pointer).map(PeerCertificate.init)
    }

    /// The likely meaning of the alert by which the peer ended the connection: a text for the operator.
    func explain(alert: Int32) -> String {
        let name = String(cString: SSL_alert_desc_string_long(alert))
        switch role {
        case .client:
            guard Self.certificateAlerts.contains(alert) else { return "the server ended the connection: \(name)" }
            guard let file = ownCertificateFile, let certificate = SSL_CTX_get0_certificate(pointer) else {
                return "the server wants a certificate of this client (\(name))"
            }
            return "the server refused this client's certificate, \(file) (\(name))" + explain(alert, certificate)
        case .server:
            guard Self.certificateAlerts.contains(alert) else { return "the client ended the connection: \(name)" }
            return "the client refused this server's certificate (\(name))"
        }
    }

    private func explain(_ alert: Int32, _ certificate: OpaquePointer) -> String {
        let validity = PeerCertificate(certificate).validity
        let now = Int64(time(nil))
        if validity.upperBound < now { return ": it expired on \(DateText.of(validity.upperBound))" }
        if validity.lowerBound > now { return ": it is not valid before \(DateText.of(validity.lowerBound))" }
        switch alert {
        case SSL_AD_UNKNOWN_CA:
            let issuer = SubjectName.quoted(X509_get_issuer_name(certificate))
            return ": it is signed by \(issuer), which the server does not know as an authority of clients"
        case SSL_AD_CERTIFICATE_REVOKED: return ": its authority has revoked it"
        default: return "; the server's log says why"
        }
    }

    private static let certificateAlerts = [
        SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED, SSL_AD_CERTIFICATE_EXPIRED,
        SSL_AD_CERTIFICATE_UNKNOWN, SSL_AD_UNKNOWN_CA, SSL_AD_CERTIFICATE_REQUIRED,
    ]

    // MARK: Inside

    private func setMinimumVersion(_ version: TLSVersion) throws(TLSError) {
        guard tandem_SSL_CTX_set_min_proto_version(pointer, version.protocolNumber) == 1 else {
            throw OpenSSLErrorQueue.internalError("SSL_CTX_set_min_proto_version")
        }
    }

    /// Tickets carry the session, client certificate and all, encrypted under a key that lives as long as this context:
    /// the server keeps nothing for clients that are away, and a restart or a new CA forgets them all.
    private func enableTickets() {
        tandem_SSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        // OpenSSL takes up no session of a client with a certificate unless it knows the service that it was for.
        let service = Array("tandem".utf8)
        SSL_CTX_set_session_id_context(pointer, service, UInt32(service.count))
        SSL_CTX_set_timeout(pointer, Self.ticketLifetimeSeconds)
        SSL_CTX_set_session_ticket_cb(pointer, nil, SessionTicket.takeUp, nil)
    }

    private static let ticketLifetimeSeconds = 3_600
}
