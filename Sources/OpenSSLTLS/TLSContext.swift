import COpenSSL

/// What all connections of one server, or to one server, share: keys, trust and session tickets.
///
/// Files are read once, when it is made; that blocks. Proof of `@unchecked Sendable`: nothing changes after `init`, and
/// OpenSSL lets threads share an `SSL_CTX` that nobody changes.
public final class TLSContext: @unchecked Sendable {
    enum Role {
        case server
        case client(serverName: String)
    }

    let pointer: OpaquePointer
    let role: Role
    private let protocols: ALPNProtocols
    /// The subjects of the clients' authorities whose revocations are not listed, where lists are given: their clients are let in.
    public let authoritiesWithoutRevocations: [String]

    /// Throws `TLSError` of one of the codes for setting up.
    public convenience init(server configuration: TLSServerConfiguration) throws(TLSError) {
        try self.init(.server, TLS_server_method(), configuration.applicationProtocols) { files throws(TLSError) in
            guard let authorities = configuration.clientCAFile else { return [] }
            try files.loadAuthorities(authorities, for: .clients)
            try files.announceAuthorities(authorities)
            return try configuration.clientCRLFile.map { list throws(TLSError) in try files.loadRevocations(list) }
                ?? []
        }
        try setMinimumVersion(configuration.minimumVersion)
        try CipherSuites.set(configuration.cipherSuites, on: pointer)
        try ContextFiles(context: pointer).load(configuration.identity)
        // Asked for, not insisted on: who may do what without one is not for TLS to say.
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
            .client(serverName: configuration.serverName), TLS_client_method(), configuration.applicationProtocols
        ) { files throws(TLSError) in
            try files.loadAuthorities(configuration.caFile, for: .servers)
            return []
        }
        try setMinimumVersion(.tls12)
        if let identity = configuration.identity { try ContextFiles(context: pointer).load(identity) }
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        tandem_SSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        let offer = protocols.wireFormat
        // Unlike most of OpenSSL's calls, this one answers 0 when it has done well.
        if !offer.isEmpty, SSL_CTX_set_alpn_protos(pointer, offer, UInt32(offer.count)) != 0 {
            throw OpenSSLErrorQueue.internalError("SSL_CTX_set_alpn_protos")
        }
    }

    /// `trust` says whose revocations are not known.
    private init(
        _ role: Role, _ method: OpaquePointer?, _ applicationProtocols: [String],
        trust: (ContextFiles) throws(TLSError) -> [String]
    ) throws(TLSError) {
        let protocols = try ALPNProtocols(applicationProtocols)
        OpenSSLErrorQueue.clear()
        guard let pointer = SSL_CTX_new(method) else { throw OpenSSLErrorQueue.internalError("SSL_CTX_new") }
        do throws(TLSError) {
            authoritiesWithoutRevocations = try trust(ContextFiles(context: pointer))
        } catch {
            SSL_CTX_free(pointer)
            throw error
        }
        self.protocols = protocols
        self.role = role
        self.pointer = pointer
        // Neither compression nor renegotiation.
        tandem_SSL_CTX_set_safe_options(pointer)
        // Buffers of idle connections are given back: 10,000 of them would hold 340 MB.
        tandem_SSL_CTX_set_mode(pointer, Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        // Header and body of a record in one read of the BIO.
        tandem_SSL_CTX_set_read_ahead(pointer, 1)
    }

    deinit {
        SSL_CTX_free(pointer)
    }

    private func setMinimumVersion(_ version: TLSVersion) throws(TLSError) {
        guard tandem_SSL_CTX_set_min_proto_version(pointer, version.protocolNumber) == 1 else {
            throw OpenSSLErrorQueue.internalError("SSL_CTX_set_min_proto_version")
        }
    }

    /// Tickets carry the session, client certificate and all, encrypted under a key that lives as long as this context:
    /// the server keeps nothing for clients that are away, and a restart or a new CA forgets them all.
    private func enableTickets() {
        tandem_SSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        // OpenSSL takes up no session of a client with a certificate unless it knows what service it was for.
        let service = Array("tandem".utf8)
        SSL_CTX_set_session_id_context(pointer, service, UInt32(service.count))
        SSL_CTX_set_timeout(pointer, Self.ticketLifetimeSeconds)
        SSL_CTX_set_session_ticket_cb(pointer, nil, SessionTicket.takeUp, nil)
    }

    private static let ticketLifetimeSeconds = 3_600
}
