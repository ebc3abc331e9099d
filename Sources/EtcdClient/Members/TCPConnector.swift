import Glibc
import NIOCore
import NIOPosix
import OpenSSLTLS

/// Connects to members over TCP.
struct TCPConnector {
    let eventLoop: any EventLoop
    let timeout: TimeAmount

    func connect(
        _ connection: MemberConnection, _ member: EtcdMember, _ tls: TLSContext?, failed: @escaping (String) -> Void
    ) {
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.install(in: channel, tls) }
            }
            .connect(host: member.host, port: member.port)
            .assumeIsolated().whenFailure { failed(Self.text($0)) }
    }

    /// Why a connection could not be made, in a person's words.
    private static func text(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError: error.connectionErrors.first.map { text($0.error) } ?? "no such host"
        case let error as IOError: String(cString: strerror(error.errnoCode))
        default: "\(error)"
        }
    }
}
