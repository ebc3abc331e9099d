/// A failure in setting TLS up, or on a connection.
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of a failure. The set is open: later versions may add to it.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        private init(_ name: String) { description = name }

        // Setting up: `message` names the file or the value.

        /// The file is not there, or this process may not read it.
        public static let fileUnreadable = Code("fileUnreadable")
        /// The file holds no PEM of the kind that is needed.
        public static let malformedFile = Code("malformedFile")
        /// The private key has a pass phrase.
        public static let keyEncrypted = Code("keyEncrypted")
        /// The private key is not that of the certificate.
        public static let keyMismatch = Code("keyMismatch")
        /// The certificate's key or signature is below the level of security that OpenSSL insists on.
        public static let weakCertificate = Code("weakCertificate")
        public static let unknownCipherSuite = Code("unknownCipherSuite")
        /// A list of application protocols that ALPN can't carry: a name is empty or longer than 255 bytes.
        public static let invalidProtocolName = Code("invalidProtocolName")

        // On a connection.

        /// The peer speaks no version, suite or protocol that this side does, or no TLS at all.
        public static let handshakeFailed = Code("handshakeFailed")
        /// The peer's certificate does not verify, or is made out to another name.
        public static let certificateRejected = Code("certificateRejected")
        /// The peer ended the handshake with an alert; `message` has its name.
        public static let refusedByPeer = Code("refusedByPeer")
        public static let handshakeTimedOut = Code("handshakeTimedOut")
        /// The connection closed before the handshake was done.
        public static let closedInHandshake = Code("closedInHandshake")
        /// The connection closed without the peer having said that it is done: the input may be cut off.
        public static let truncated = Code("truncated")
        /// The peer broke the protocol after the handshake.
        public static let protocolViolation = Code("protocolViolation")
        /// OpenSSL itself failed: it has no memory, or was called wrongly.
        public static let `internal` = Code("internal")
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
