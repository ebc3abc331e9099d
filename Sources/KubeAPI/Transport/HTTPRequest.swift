import NIOCore
import NIOHTTP1

/// A request to the server, without credentials.
struct HTTPRequest: Sendable {
    var method: HTTPMethod
    /// With its query.
    var path: String
    var accept = "application/json"
    var contentType = "application/json"
    var body: ByteBuffer?

    /// Nothing is changed by it, so that it may be sent twice.
    var isSafe: Bool { method == .GET }

    func head(_ server: ServerURL, token: String?) -> HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: server.prefix + path)
        head.headers = ["host": server.authority, "accept": accept, "user-agent": "tandem"]
        if let token { head.headers.add(name: "authorization", value: "Bearer \(token)") }
        if let body {
            head.headers.add(name: "content-type", value: contentType)
            head.headers.add(name: "content-length", value: "\(body.readableBytes)")
        }
        return head
    }
}
