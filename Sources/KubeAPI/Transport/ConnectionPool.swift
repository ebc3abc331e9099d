import Glibc
import NIOCore
import NIOPosix
import OpenSSLTLS

/// The connections to the server: as many as there are requests at once, up to a limit, and one for each watch besides. On its event
/// loop alone.
final class ConnectionPool {
    private let configuration: KubeConfiguration
    private let loop: any EventLoop
    private var idle: [KubeConnection] = []
    /// The purpose of each connection.
    private var served: [ObjectIdentifier: (connection: KubeConnection, exchange: Exchange)] = [:]
    private var waiting: [Exchange] = []
    /// Requests, without watches, that are being served.
    private var busy = 0
    private var isClosed = false

    /// Servers and middleboxes close silent connections; one that was silent for longer than this is replaced.
    private static let maximumIdle = TimeAmount.seconds(30)

    init(_ configuration: KubeConfiguration, _ loop: any EventLoop) {
        self.configuration = configuration
        self.loop = loop
    }

    /// Its time begins to run, also while it waits for a connection.
    func submit(_ exchange: Exchange) {
        guard !isClosed else { return exchange.fail(.shutDown) }
        exchange.start(on: loop.assumeIsolated())
        guard !exchange.isWatch, busy >= configuration.maximumConnections else { return begin(exchange) }
        waiting.removeAll(where: \.isOver)
        guard waiting.count < configuration.maximumWaiting else {
            return exchange.fail(KubeError(.timedOut, "too many requests wait for the API server"))
        }
        waiting.append(exchange)
    }

    /// Ends everything.
    func close() {
        isClosed = true
        for exchange in waiting { exchange.fail(.shutDown) }
        for (connection, exchange) in served.values {
            exchange.fail(.shutDown)
            connection.close()
        }
        for connection in idle { connection.close() }
        (waiting, idle) = ([], [])
    }

    // MARK: Serving

    private func begin(_ exchange: Exchange) {
        if !exchange.isWatch { busy += 1 }
        serve(exchange)
    }

    private func serve(_ exchange: Exchange) {
        while let connection = idle.popLast() {
            if connection.idleSince + Self.maximumIdle > .now(), connection.send(exchange) {
                served[ObjectIdentifier(connection)] = (connection, exchange)
                return
            }
            connection.close()
        }
        connect(for: exchange)
    }

    private func isReady(_ connection: KubeConnection) {
        guard let exchange = served[ObjectIdentifier(connection)]?.exchange else { return connection.close() }
        // No request waits for it any more; the connection is there for others.
        if exchange.isOver { return isIdle(connection) }
        _ = connection.send(exchange)
    }

    private func isIdle(_ connection: KubeConnection) {
        let exchange = served.removeValue(forKey: ObjectIdentifier(connection))?.exchange
        if isClosed || idle.count >= configuration.maximumConnections {
            connection.close()
        } else {
            idle.append(connection)
        }
        if let exchange { isDone(exchange) }
    }

    private func isLost(_ connection: KubeConnection, _ error: KubeError) {
        guard let exchange = served.removeValue(forKey: ObjectIdentifier(connection))?.exchange else {
            return idle.removeAll { $0 === connection }
        }
        if !exchange.isOver, connection.wasStale, exchange.request.isSafe, !exchange.isSecondTry, !isClosed {
            exchange.isSecondTry = true
            return serve(exchange)
        }
        exchange.fail(error)
        isDone(exchange)
    }

    /// One less is at work.
    private func isDone(_ exchange: Exchange) {
        guard !exchange.isWatch else { return }
        busy -= 1
        while busy < configuration.maximumConnections, !waiting.isEmpty {
            let next = waiting.removeFirst()
            if !next.isOver { begin(next) }
        }
    }

    // MARK: Connecting

    private func connect(for exchange: Exchange) {
        let configuration = configuration
        // Reading files blocks.
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            try configuration.tls.context(serverName: configuration.address.host)
        }.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let tls): self.connect(tls, for: exchange)
            case .failure(let error):
                exchange.fail(KubeError(.credentials, "\(error)"))
                self.isDone(exchange)
            }
        }
    }

    private func connect(_ tls: TLSContext, for exchange: Exchange) {
        let (address, timeout) = (configuration.address, TimeAmount(configuration.connectTimeout))
        ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A watch may be silent for minutes, and its server may be gone without a word.
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(
                ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_KEEPIDLE)), value: 20
            )
            .channelOption(
                ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_KEEPINTVL)), value: 5
            )
            .channelOption(ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_KEEPCNT)), value: 4)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try KubeConnection().install(in: channel, tls, handshakeTimeout: timeout)
                }
            }
            .connect(host: address.host, port: address.port)
            .assumeIsolated().whenComplete { result in
                do {
                    let channel = try result.get()
                    try self.take(channel.pipeline.syncOperations.handler(type: KubeConnection.self), for: exchange)
                } catch {
                    exchange.fail(KubeError(.notReached, "can't reach the API server \(address): \(Self.text(error))"))
                    self.isDone(exchange)
                }
            }
    }

    private func take(_ connection: KubeConnection, for exchange: Exchange) {
        served[ObjectIdentifier(connection)] = (connection, exchange)
        connection.attach(.init(onReady: isReady, onIdle: isIdle, onLost: isLost))
        if isClosed { connection.close() }
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
