import Foundation
public import TandemAPI

/// A request as a fake API server got it.
public struct FakeRequest: Sendable, Hashable {
    /// As `GET`.
    public let method: String
    /// With its query.
    public let uri: String
    public let accept: String
    public let contentType: String
    /// `null` where there is none.
    public let body: JSONValue

    init(_ method: String, _ uri: String, accept: String = "", contentType: String = "", _ body: JSONValue = .null) {
        self.method = method
        self.uri = uri
        self.accept = accept
        self.contentType = contentType
        self.body = body
    }

    /// `WATCH` for a watch, else the method.
    public var kind: String { isWatch ? "WATCH" : method }

    public var path: String { String(uri.prefix { $0 != "?" }) }

    public var query: [String: String] {
        var values: [String: String] = [:]
        for item in URLComponents(string: "http://x" + uri)?.queryItems ?? [] { values[item.name] = item.value }
        return values
    }

    public var isWatch: Bool { method == "GET" && uri.contains("watch=true") }

    /// The parts of the path.
    struct Target: Hashable {
        var plural: String
        var namespace: String?
        var name: String?
        var part: String?
    }

    var target: Target? {
        var parts = path.split(separator: "/").map { $0.removingPercentEncoding ?? "" }[...]
        guard parts.count >= 3 else { return nil }
        parts = parts.dropFirst(parts.first == "api" ? 2 : 3)
        var namespace: String?
        if parts.first == "namespaces", parts.count >= 3 {
            namespace = parts[parts.startIndex + 1]
            parts = parts.dropFirst(2)
        }
        guard let plural = parts.first else { return nil }
        let rest = Array(parts.dropFirst())
        return Target(
            plural: plural, namespace: namespace, name: rest.first, part: rest.count > 1 ? rest[1] : nil)
    }
}

/// An answer of one piece.
struct FakeAnswer: Sendable {
    var status = 200
    var body: JSONValue
    var retryAfter: Int?

    static func object(_ object: JSONValue, created: Bool = false) -> FakeAnswer {
        FakeAnswer(status: created ? 201 : 200, body: object)
    }

    static func refusal(_ code: Int, _ reason: String, _ message: String, retryAfter: Int? = nil) -> FakeAnswer {
        FakeAnswer(status: code, body: Self.status(code, reason, message), retryAfter: retryAfter)
    }

    static func status(_ code: Int, _ reason: String, _ message: String) -> JSONValue {
        [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "message": .string(message),
            "reason": .string(reason), "code": .number(String(code)),
        ]
    }
}
