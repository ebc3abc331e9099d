/// The protocol inside TLS, by its name in ALPN. A client that offers none speaks HTTP/1.1.
enum ApplicationProtocol: String, CaseIterable {
    /// A stream of JSON-RPC messages, one per line.
    case stream = "jsonrpc"
    case http = "http/1.1"
}
