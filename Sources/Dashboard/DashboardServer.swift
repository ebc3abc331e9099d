import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
public import TandemClient

/// The dashboard's page on this machine's loopback, and the user's certificate behind it: a browser needs none. Requests go on to
/// the servers where they only read.
public struct DashboardServer: Sendable {
    typealias Listener = NIOAsyncChannel<Visit.Connection, Never>

    /// Where the page is: `http://127.0.0.1:PORT/TOKEN/`. A browser that knows it may read with the user's certificate, as long as this runs.
    public let address: String

    /// Leads to the page once: for the command line of a browser, which other users of the machine can read.
    public func entrance() -> String { "http://127.0.0.1:\(visit.gate.port)/\(visit.gate.ticket.issue().text)" }

    private let listener: Listener
    private let visit: Visit

    /// Connections at a time: a browser has six, and each page one of them for changes.
    static let maximumConnections = 32
    /// A page hears something every 30 s; so long a silence is no page's.
    private static let patience = TimeAmount.seconds(120)

    /// Listens on `port`, or on a free one. Of several servers each is asked by itself. Throws an `IOError` where the port is not to be had.
    public static func start(
        _ configuration: ClientConfiguration, port: Int = 0, user: String = ""
    ) async throws -> DashboardServer {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 64)
            .bind(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(IdleStateHandler(allTimeout: patience))
                    // Requests are answered one after the other as it is.
                    try pipeline.configureHTTPServerPipeline(
                        withPipeliningAssistance: false, withErrorHandling: true)
                    try pipeline.addHandler(IdleEnd())
                    return try Visit.Connection(wrappingChannelSynchronously: channel)
                }
            }
        let port = listener.channel.localAddress?.port ?? port
        let links = configuration.servers.map { server in
            var one = configuration
            one.servers = [server]
            return ServerLink(one)
        }
        let gate = Gate(token: Token(), port: port, servers: links.count)
        return DashboardServer(
            address: "http://127.0.0.1:\(port)\(gate.path)", listener: listener,
            visit: Visit(gate: gate, links: links, user: user))
    }

    /// Serves until the task is cancelled. Once.
    public func run() async throws {
        let open = Count()
        try await withThrowingDiscardingTaskGroup { group in
            try await listener.executeThenClose { inbound in
                for try await connection in inbound {
                    group.addTask {
                        let isOneTooMany = open.enter() > Self.maximumConnections
                        if isOneTooMany { await Visit.refuse(connection) } else { await visit.run(connection) }
                        open.leave()
                    }
                }
            }
            group.cancelAll()
        }
        for link in visit.links { await link.close() }
    }

    private final class Count: Sendable {
        private let count = Atomic(0)

        func enter() -> Int { count.add(1, ordering: .relaxed).newValue }
        func leave() { count.subtract(1, ordering: .relaxed) }
    }
}

/// Closes a connection on which nothing happens.
private final class IdleEnd: ChannelInboundHandler, Sendable {
    typealias InboundIn = HTTPServerRequestPart

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
