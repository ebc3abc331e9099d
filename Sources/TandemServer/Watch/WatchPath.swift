import NIOHTTP1
import TandemAPI

/// `GET /watch?kinds=Pod,Node&nodeName=n1&resourceVersion=12`, and the answer where nothing can be watched.
enum WatchPath {
    /// The call that the request stands for. Throws INVALID_ARGUMENT for an invalid URL; the call itself reports faults of values.
    static func message(_ request: HTTPRequest) throws(APIError) -> [UInt8] {
        var params: [(String, JSONValue)] = []
        let query = request.target.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decoded(parts[0]), let value = decoded(parts.count > 1 ? parts[1] : "") else {
                throw APIError(
                    .invalidArgument, reason: "InvalidParams", "the query has a %XX that is no text", code: -32602)
            }
            params.removeAll { $0.0 == name }
            switch name {
            case "kinds": params.append((name, .array(value.split(separator: ",").map { .string(String($0)) })))
            case "limit": params.append((name, Int(value).map { .number(String($0)) } ?? .string(value)))
            default: params.append((name, .string(value)))
            }
        }
        // A browser's reader sends its last place when it reconnects.
        if let id = request.lastEventID, !id.isEmpty {
            params.removeAll { $0.0 == "resourceVersion" }
            params.append(("resourceVersion", .string(id)))
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("jsonrpc")
        writer.string("2.0")
        writer.key("method")
        writer.string(Method.watch.rawValue)
        writer.key("id")
        writer.number(0)
        writer.key("params")
        writer.beginObject()
        for (name, value) in params {
            writer.key(text: name)
            writer.text(value.text)
        }
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    static func form(_ request: HTTPRequest) -> WatchForm {
        let media = (request.accept ?? "").split(separator: ",").map { $0.prefix { $0 != ";" }.filter { $0 != " " } }
        return media.contains("text/event-stream") ? .serverSentEvents : .lines
    }

    /// The call's answer where it began no watch.
    static func refusal(_ reply: RPCReply?) -> HTTPAnswer {
        let error = reply.flatMap { (try? JSONValue(parsing: $0.bytes))?["error"] }
        let name = error?["data"]?["status"]?.stringValue
        let status = APIError.Status.allCases.first { $0.name == name } ?? .unavailable
        return answer(status, error ?? .null)
    }

    static func refusal(_ error: APIError) -> HTTPAnswer {
        var writer = JSONWriter()
        error.write(to: &writer)
        return answer(error.status, (try? JSONValue(parsing: writer.bytes)) ?? .null)
    }

    private static func answer(_ status: APIError.Status, _ error: JSONValue) -> HTTPAnswer {
        HTTPAnswer(status.overHTTP, HTTPAnswer.json, (["error": error] as JSONValue).text.bytes + [UInt8(ascii: "\n")])
    }

    /// nil where it is no UTF-8.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                let digits = String(decoding: rest.prefix(2), as: UTF8.self)
                guard digits.utf8.count == 2, digits.first != "+", let value = UInt8(digits, radix: 16) else {
                    return nil
                }
                rest = rest.dropFirst(2)
                bytes.append(value)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension APIError.Status {
    /// Before anything was answered it can be said so.
    fileprivate var overHTTP: HTTPResponseStatus {
        switch self {
        case .invalidArgument, .failedPrecondition, .aborted, .alreadyExists: .badRequest
        case .notFound: .notFound
        case .unauthenticated: .unauthorized
        case .permissionDenied: .forbidden
        case .outOfRange: .gone
        case .resourceExhausted: .tooManyRequests
        case .internal: .internalServerError
        case .unavailable, .deadlineExceeded: .serviceUnavailable
        }
    }
}
