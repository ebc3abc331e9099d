import IPAM
public import NIOCore

/// What connections may cost: how many there are, how long they may do nothing, what is kept for them.
public struct ConnectionLimits: Sendable {
    /// Past it a new connection takes the place of a stranger, or is closed at once.
    public var connections: Int
    /// For the TLS handshake, from the first byte to the last.
    public var handshakeTimeout: TimeAmount
    /// For a message to come in whole, or an answer to be taken, after the one before.
    public var idleTimeout: TimeAmount

    /// The same of who shows no certificate: a probe asks at once.
    static let strangersIdleTimeout = TimeAmount.seconds(10)

    func idleTimeout(of identity: Identity?) -> TimeAmount {
        identity == nil ? min(idleTimeout, Self.strangersIdleTimeout) : idleTimeout
    }

    /// Of messages that are not whole, calls under way and answers that nobody takes, for all connections together; what a
    /// connection has to itself does not count. nil for 512 MiB, or a quarter of the memory limit if that is less.
    public var bufferedBytes: Int?

    /// What `bufferedBytes` is beside a limit of all memory; 0 for none.
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
