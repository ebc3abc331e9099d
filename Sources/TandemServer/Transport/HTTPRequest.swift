package import NIOHTTP1

/// A request over HTTP/1.1: its request line, and of its headers those that matter here.
package struct HTTPRequest: Sendable, Equatable {
    package enum Body: Sendable, Equatable {
        case bytes(Int)
        case chunked
    }

    package enum Expectation: Sendable, Equatable { case none, toContinue, unknown }

    package var method: HTTPMethod
    /// A path with its query, whatever form it came in; `*` with OPTIONS, a host and port with CONNECT. ASCII.
    package var target: String
    /// Of 1.1 or later minor versions; else 1.0.
    package var isVersion11: Bool
    package var isKeepAlive: Bool
    package var body: Body
    package var expectation: Expectation
    /// ASCII; empty where it is not.
    package var contentType: String?
    package var contentEncoding: String?
    package var userAgent: String?
    package var accept: String?
    /// Where a reader of server-sent events was.
    package var lastEventID: String?

    var path: Substring { target.prefix { $0 != "?" } }
}

/// Why a request can't be read: the connection ends with this answer, as the start of the next request is unknown.
package struct HTTPFault: Error, Sendable, Equatable {
    package var status: HTTPResponseStatus
    package var message: String

    static func bad(_ message: String) -> HTTPFault { HTTPFault(status: .badRequest, message: message) }

    static let headersTooLarge = HTTPFault(
        status: .requestHeaderFieldsTooLarge,
        message: "headers hold at most \(HTTPRequestReader.maximumHeadBytes) bytes, and are at most "
            + "\(HTTPRequestReader.maximumHeaders)")
}
