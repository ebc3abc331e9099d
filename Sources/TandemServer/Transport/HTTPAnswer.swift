import NIOCore
import NIOHTTP1
import TandemAPI

/// An answer over HTTP/1.1, before the connection's own headers are added.
struct HTTPAnswer: Sendable {
    var status: HTTPResponseStatus
    /// nil where there is no body.
    var contentType: StaticString?
    /// One more header: which verbs would be right, when to try again.
    var header: (name: StaticString, value: StaticString)?
    var body: [UInt8] = []

    /// The answer's statement on the connection after it.
    enum Connection: Sendable {
        case unsaid, close
        /// For clients of HTTP/1.0, where it must be stated.
        case keepAlive
    }

    init(_ status: HTTPResponseStatus) {
        self.status = status
    }

    init(_ status: HTTPResponseStatus, _ contentType: StaticString, _ body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    static func text(_ status: HTTPResponseStatus, _ text: String) -> HTTPAnswer {
        HTTPAnswer(status, "text/plain; charset=utf-8", Array(text.utf8))
    }

    /// The allowed methods: the answer to `OPTIONS *`.
    static var options: HTTPAnswer {
        var answer = HTTPAnswer(.noContent)
        answer.header = ("allow", "GET, HEAD, POST, OPTIONS")
        return answer
    }

    static func wrongMethod(allowed: StaticString) -> HTTPAnswer {
        var answer = text(.methodNotAllowed, "use \(allowed)\n")
        answer.header = ("allow", allowed)
        return answer
    }

    /// For a request that ends the connection, as it can't be read to its end.
    static func refused(_ status: HTTPResponseStatus, _ error: APIError) -> HTTPAnswer {
        var answer = text(status, error.message + "\n")
        if error.isRetryable { answer.header = ("retry-after", "1") }
        return answer
    }
}

extension ByteBuffer {
    /// Nearly every answer starts so.
    private static let commonStart: StaticString =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "

    /// The head of an answer, and its body unless only the head was asked for.
    mutating func writeHTTP(_ answer: HTTPAnswer, headOnly: Bool = false, _ connection: HTTPAnswer.Connection) {
        reserveCapacity(minimumWritableBytes: 160 + answer.body.count)
        if answer.status == .ok, answer.contentType?.utf8Start == HTTPAnswer.json.utf8Start {
            writeStaticString(Self.commonStart)
            writeDecimal(answer.body.count)
        } else {
            writeHTTPHead(
                answer.status, answer.contentType, length: answer.contentType == nil ? nil : answer.body.count)
            if let (name, value) = answer.header {
                writeStaticString("\r\n")
                writeStaticString(name)
                writeStaticString(": ")
                writeStaticString(value)
            }
        }
        endHTTPHead(connection)
        if !headOnly { writeBytes(answer.body) }
    }

    /// The head without its end, so that headers may follow.
    mutating func writeHTTPHead(_ status: HTTPResponseStatus, _ contentType: StaticString?, length: Int?) {
        writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)")
        if let contentType {
            writeStaticString("\r\ncontent-type: ")
            writeStaticString(contentType)
        }
        if let length {
            writeStaticString("\r\ncontent-length: ")
            writeDecimal(length)
        }
    }

    mutating func endHTTPHead(_ connection: HTTPAnswer.Connection) {
        switch connection {
        case .unsaid: writeStaticString("\r\n\r\n")
        case .close: writeStaticString("\r\nconnection: close\r\n\r\n")
        case .keepAlive: writeStaticString("\r\nconnection: keep-alive\r\n\r\n")
        }
    }

    private mutating func writeDecimal(_ value: Int) {
        writeString(String(value))
    }
}

extension HTTPAnswer {
    static let json: StaticString = "application/json"
}
