/// Fired up the pipeline as a user event once the handshake is done, before any data.
public struct TLSHandshakeCompleted: Sendable, Hashable {
    /// The protocol of ALPN; nil where the client offered nothing.
    public let applicationProtocol: String?
    /// The peer's certificate, verified; nil where it showed none.
    public let peerCertificate: PeerCertificate?
    /// Whether a session ticket of an earlier connection was taken up.
    public let isResumed: Bool
}
