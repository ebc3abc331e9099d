import NIOCore
import NIOHTTP1
import NIOPosix
import OpenSSLTLS
import TandemAPI

/// A connection that speaks HTTP/1.1, for probes, lists and backups.
enum HTTPConnection {
    typealias Parts = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    /// Throws `ClientError`, or `TLSError` where one of the files can't be used.
    static func open(
        _ server: ServerAddress, _ configuration: ClientConfiguration, timeout: TimeAmount = .seconds(10)
    ) async throws -> Parts {
        let tls = try configuration.tlsContext(for: server, "http/1.1")
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(timeout)
                .connect(host: server.host, port: server.port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            TLSHandler(context: tls, handshakeTimeout: timeout))
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        return try Parts(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw ClientError.notReached("\(server)", cause: error)
        }
    }

    /// A `GET` that ends the connection.
    static func request(_ server: ServerAddress, _ path: String) -> HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path)
        head.headers = ["host": "\(server.host):\(server.port)", "connection": "close"]
        return head
    }

    /// The body of a path. Throws `ClientError` where it does not arrive in time.
    static func get(
        _ path: String, _ server: ServerAddress, _ configuration: ClientConfiguration, timeout: TimeAmount
    ) async throws -> (status: HTTPResponseStatus, text: String) {
        let parts = try await open(server, configuration, timeout: timeout)
        let deadline = parts.channel.eventLoop.scheduleTask(in: timeout) { parts.channel.close(promise: nil) }
        defer { deadline.cancel() }
        do {
            configuration.trace?("> \(server) GET \(path)")
            return try await parts.executeThenClose { inbound, outbound in
                try await outbound.write(.head(request(server, path)))
                try await outbound.write(.end(nil))
                var (status, text) = (HTTPResponseStatus.ok, "")
                for try await part in inbound {
                    switch part {
                    case .head(let head):
                        status = head.status
                        configuration.trace?("< \(server) \(status)")
                    case .body(let bytes): text += String(buffer: bytes)
                    case .end: return (status, text)
                    }
                }
                throw ClientError.notReached(
                    "\(server)", "no answer within \(timeout.nanoseconds / 1_000_000) ms")
            }
        } catch let error as TLSError {
            // The files were in order, or the connection would not have been opened: the other side did not do its part.
            throw ClientError.notReached("\(server)", error.message, cause: error)
        }
    }
}
