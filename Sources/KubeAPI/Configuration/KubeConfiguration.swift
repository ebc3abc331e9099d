/// The API server's address, the trusted authorities, and this client's identity.
public struct KubeConfiguration: Sendable {
    /// As `https://HOST:PORT`, for people to read.
    public var server: String { address.description }
    /// That of the context or of the pod; `default` where none is given.
    public let namespace: String
    let address: ServerURL
    let tls: TLSMaterial
    let token: TokenSource

    /// For a connection to be made, and for its handshake as long again.
    public var connectTimeout = Duration.seconds(5)
    /// For one request, waiting for a connection and the server's wish to wait (`Retry-After`) included.
    public var requestTimeout = Duration.seconds(15)
    /// For a list, each page; lists of some ten thousand objects take their time.
    public var pageTimeout = Duration.seconds(60)
    /// Until the head of a watch's answer: of a version that is still to come there never is one.
    public var watchHeadTimeout = Duration.seconds(10)
    /// A watch that tells nothing for so long is ended, and the client checks whether the server is behind the versions that it has told: old servers begin a
    /// watch of a version that is still to come, and send no changes meanwhile. They say how far they are each minute.
    public var watchSilence = Duration.seconds(90)
    /// Connections that requests use at once; watches have their own.
    public var maximumConnections = 32
    /// Requests that wait for one of them; one more is refused.
    public var maximumWaiting = 1_024
    /// The body of one answer.
    public var maximumAnswerBytes = 64 << 20
    /// One line of a watch: one object.
    public var maximumLineBytes = 16 << 20
    /// Objects in a page of a list.
    public var pageSize = 500

    init(address: ServerURL, namespace: String, tls: TLSMaterial, token: TokenSource) {
        self.address = address
        self.namespace = namespace
        self.tls = tls
        self.token = token
    }

    /// Reads all files, so that a start can be refused for them. Blocks. Later each connection reads certificates anew, and the token is
    /// read again each minute.
    public func checkFiles() throws(KubeConfigurationError) {
        do {
            _ = try tls.context(serverName: address.host)
            _ = try token.read()
        } catch {
            throw KubeConfigurationError("\(error)")
        }
    }
}
