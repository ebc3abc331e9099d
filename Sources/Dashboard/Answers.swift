import NIOCore
import NIOHTTP1
import TandemAPI

/// How answers look on the wire.
struct Answer {
    var status: HTTPResponseStatus
    var mediaType: String
    var body: ByteBuffer
    var allow: String?
    var location: String?

    init(_ asset: Asset) {
        (status, mediaType, body) = (.ok, asset.mediaType, ByteBuffer(bytes: asset.bytes))
    }

    init(seeOther path: String) {
        (status, mediaType, body) = (.seeOther, "text/plain; charset=utf-8", ByteBuffer())
        location = path
    }

    init(_ json: JSONValue, status: HTTPResponseStatus = .ok) {
        self.status = status
        mediaType = "application/json"
        body = ByteBuffer(bytes: json.text.bytes)
    }

    init(_ refusal: Refusal) {
        (status, mediaType, allow) = (refusal.status, "text/plain; charset=utf-8", refusal.allow)
        body = ByteBuffer(string: refusal.text + "\n")
    }

    func head(keepAlive: Bool) -> HTTPResponseHead {
        var headers = Self.headers
        headers.add(name: "content-type", value: mediaType)
        headers.add(name: "content-length", value: String(body.readableBytes))
        if let location { headers.add(name: "location", value: location) }
        if let allow { headers.add(name: "allow", value: allow) }
        if !keepAlive { headers.add(name: "connection", value: "close") }
        return HTTPResponseHead(version: .http1_1, status: status, headers: headers)
    }

    /// Of a stream of server-sent events, which ends with its connection.
    static var stream: HTTPResponseHead {
        var headers = headers
        headers.add(name: "content-type", value: "text/event-stream")
        headers.add(name: "connection", value: "close")
        return HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
    }

    static func event(_ message: JSONValue) -> ByteBuffer {
        var event = ByteBuffer(string: "data: ")
        event.writeBytes(message.text.bytes)
        event.writeString("\n\n")
        return event
    }

    /// On every answer: the page runs only its own scripts, connects to no other host, is shown in no frame, is kept in no cache, and its address, which has
    /// the token, is sent to no other site.
    private static let headers: HTTPHeaders = [
        "content-security-policy":
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer", "x-frame-options": "DENY", "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    ]
}
