import IPAM
public import NIOCore

/// What connections may cost: how many there are, and how long they may do nothing.
public struct ConnectionLimits: Sendable {
    /// Past it a new connection is closed at once: there is no memory to spare for its handshake.
    public var connections: Int
    /// For the TLS handshake, from the first byte to the last.
    public var handshakeTimeout: TimeAmount
    /// For a message to come in whole, or an answer to be taken, after the one before.
    public var idleTimeout: TimeAmount

    init(_ reader: SettingsReader) throws(ConfigurationFault) {
        connections = try reader.integer("max-connections", default: 10_000, in: 1...1_000_000)
        handshakeTimeout = .seconds(Int64(try reader.integer("handshake-timeout", default: 10, in: 1...600)))
        idleTimeout = .seconds(Int64(try reader.integer("idle-timeout", default: 300, in: 1...86_400)))
    }
}
