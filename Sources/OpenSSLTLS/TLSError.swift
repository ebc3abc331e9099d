/// What went wrong in setting TLS up, or on a connection.
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        // Setting up: `message` names the file or the value.

        /// The file is not there, or this process may not read it.
        case fileUnreadable
        /// The file holds no PEM of the kind that is needed.
        case malformedFile
        /// The private key has a pass phrase.
        case keyEncrypted
        /// The private key is not that of the certificate.
        case keyMismatch
        case unknownCipherSuite
        /// A list of application protocols that ALPN can't carry: a name is empty or longer than 255 bytes.
        case invalidProtocolName

        // On a connection.

        /// The peer speaks no version, suite or protocol that this side does, or no TLS at all.
        case handshakeFailed
        /// The peer's certificate does not verify, or is made out to somebody else.
        case certificateRejected
        /// The peer ended the handshake with an alert; `message` has its name.
        case refusedByPeer
        case handshakeTimedOut
        /// The connection closed before the handshake was done.
        case closedInHandshake
        /// The connection closed without the peer having said that it is done: what came may be cut off.
        case truncated
        /// The peer broke the protocol after the handshake.
        case protocolViolation
        /// OpenSSL itself failed: it has no memory, or was called wrongly.
        case `internal`
    }

    public var code: Code
    /// A sentence without a full stop.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
