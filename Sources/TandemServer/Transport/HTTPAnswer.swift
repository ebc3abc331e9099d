import NIOHTTP1
import TandemAPI

/// An answer over HTTP/1.1, before the connection's own headers are added.
struct HTTPAnswer: Sendable {
    var status: HTTPResponseStatus
    var headers = HTTPHeaders()
    var body: [UInt8] = []
    var closesConnection = false

    init(_ status: HTTPResponseStatus) {
        self.status = status
    }

    init(_ status: HTTPResponseStatus, _ contentType: String, _ body: [UInt8]) {
        self.status = status
        self.body = body
        headers.add(name: "content-type", value: contentType)
    }

    static func text(_ status: HTTPResponseStatus, _ text: String, closing: Bool = false) -> HTTPAnswer {
        var answer = HTTPAnswer(status, "text/plain; charset=utf-8", Array(text.utf8))
        answer.closesConnection = closing
        return answer
    }

    static func wrongMethod(allowed: String) -> HTTPAnswer {
        var answer = text(.methodNotAllowed, "use \(allowed)\n")
        answer.headers.add(name: "allow", value: allowed)
        return answer
    }
}
