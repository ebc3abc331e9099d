import IPAM
public import NIOCore

/// The limits of connections: their number, their idle time, their memory.
public struct ConnectionLimits: Sendable {
    /// Past it a new connection takes the place of a stranger, or is closed at once.
    public var connections: Int
    /// For the TLS handshake, from the first byte to the last.
    public var handshakeTimeout: TimeAmount
    /// For a message to come in whole, or an answer to be taken, after the one before.
    public var idleTimeout: TimeAmount

    /// The same without a client certificate: a probe calls at once.
    static let strangersIdleTimeout = TimeAmount.seconds(10)

    func idleTimeout(of identity: Identity?) -> TimeAmount {
        identity == nil ? min(idleTimeout, Self.strangersIdleTimeout) : idleTimeout
    }

    /// Of incomplete messages, calls in flight and unread answers, for all connections together; bytes that a
    /// connection has to itself do not count. nil for 512 MiB, or a quarter of the memory limit if that is less.
    public var bufferedBytes: Int?

    /// The default of `bufferedBytes` beside a limit of all memory; 0 for none.
    func bufferedBytes(of memory: Int) -> Int {
        bufferedBytes ?? (memory == 0 ? 512 << 20 : min(512 << 20, max(16 << 20, memory / 4)))
    }

    init(_ reader: SettingsReader) throws(ConfigurationFault) {
        connections = try reader.integer("max-connections", default: 10_000, in: 1...1_000_000)
        handshakeTimeout = .seconds(Int64(try reader.integer("handshake-timeout", default: 10, in: 1...600)))
        idleTimeout = .seconds(Int64(try reader.integer("idle-timeout", default: 300, in: 1...86_400)))
        let bytes = try reader.integer("max-buffered-bytes", default: 0, in: (16 << 20)...(1 << 40))
        bufferedBytes = bytes == 0 ? nil : bytes
    }
}
