/// This side's identity: PEM files.
public struct TLSIdentity: Sendable, Hashable {
    /// The certificate first, then the chain from it to a root that the peer trusts.
    public var certificateChainFile: String
    /// Without a pass phrase: a server has no user to ask for it.
    public var privateKeyFile: String

    public init(certificateChainFile: String, privateKeyFile: String) {
        self.certificateChainFile = certificateChainFile
        self.privateKeyFile = privateKeyFile
    }
}

/// How a server speaks TLS.
public struct TLSServerConfiguration: Sendable {
    public var identity: TLSIdentity
    /// Signs the certificates that clients may show. With it a client is asked for one and may do without; one that
    /// does not verify ends the handshake. Without it no client is asked.
    public var clientCAFile: String?
    /// Revocation lists: neither a client's certificate nor an authority on the way to it may be on that of the authority that
    /// signed it, be that list current or not. An authority without a list revokes no certificate.
    public var clientCRLFile: String?
    public var minimumVersion: TLSVersion
    /// Names of IANA's registry, as `TLS_AES_128_GCM_SHA256`; empty for OpenSSL's own choice. Suites of TLS 1.3 and of
    /// 1.2 are chosen apart: a list that has none of a version leaves that version as it is.
    public var cipherSuites: [String]
    /// Names for ALPN, the one that the server likes best first. A client that offers some, but none of these, is
    /// refused; one that offers none is not.
    public var applicationProtocols: [String]

    public init(
        identity: TLSIdentity, clientCAFile: String? = nil, clientCRLFile: String? = nil,
        minimumVersion: TLSVersion = .tls13,
        cipherSuites: [String] = [], applicationProtocols: [String] = []
    ) {
        self.identity = identity
        self.clientCAFile = clientCAFile
        self.clientCRLFile = clientCRLFile
        self.minimumVersion = minimumVersion
        self.cipherSuites = cipherSuites
        self.applicationProtocols = applicationProtocols
    }
}

/// How a client speaks TLS, 1.3 or 1.2.
public struct TLSClientConfiguration: Sendable {
    /// Signs the server's certificate.
    public var caFile: String
    /// The server is not verified, and `caFile` is not read: for users who have chosen to go without verification.
    public var believesAnyServer = false
    /// The certificate for a server that asks; nil for none.
    public var identity: TLSIdentity?
    /// The host name or IP address that the server's certificate must be made out to.
    public var serverName: String
    public var applicationProtocols: [String]

    public init(
        caFile: String, identity: TLSIdentity? = nil, serverName: String, applicationProtocols: [String] = []
    ) {
        self.caFile = caFile
        self.identity = identity
        self.serverName = serverName
        self.applicationProtocols = applicationProtocols
    }
}
