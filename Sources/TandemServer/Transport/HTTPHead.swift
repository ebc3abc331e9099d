import NIOHTTP1

/// A request's head as its lines come in.
struct HTTPHead: Sendable {
    private var method = ""
    private var target = ""
    private var minorVersion: UInt8 = 1
    private var hasHost = false
    private var length: Int?
    private var transferEncoding: String?
    private var closes = false
    private var keepsAlive = false
    private var expectation = HTTPRequest.Expectation.none
    private var contentType: String?
    private var contentEncoding: String?
    private var userAgent: String?
    private var accept: String?
    private var lastEventID: String?

    // MARK: The request line

    mutating func begin(_ line: UnsafeRawBufferPointer) throws(HTTPFault) {
        let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .bad("a request begins with METHOD TARGET HTTP/1.1") }
        guard !parts[0].isEmpty, parts[0].allSatisfy(Self.isInToken) else { throw .bad("the method is no token") }
        let version = Array(parts[2])
        guard version.count == 8, version.starts(with: "HTTP/".utf8), Self.isDigit(version[5]),
            version[6] == UInt8(ascii: "."), Self.isDigit(version[7])
        else { throw .bad("a request line ends in HTTP/1.1") }
        guard version[5] == UInt8(ascii: "1") else {
            throw HTTPFault(status: .httpVersionNotSupported, message: "HTTP/1.1 is spoken here")
        }
        guard !parts[1].isEmpty, parts[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) else {
            throw .bad("a request's target is printable ASCII without '#'")
        }
        method = String(decoding: parts[0], as: UTF8.self)
        minorVersion = version[7] - UInt8(ascii: "0")
        target = try Self.target(String(decoding: parts[1], as: UTF8.self), of: method)
    }

    /// The four forms of RFC 9112, 3.2.
    private static func target(_ text: String, of method: String) throws(HTTPFault) -> String {
        if method == "CONNECT" {
            guard text.utf8.contains(UInt8(ascii: ":")), isHost(Array(text.utf8)) else {
                throw .bad("CONNECT asks for HOST:PORT")
            }
            return text
        }
        if text.utf8.first == UInt8(ascii: "/") { return text }
        if text == "*" {
            guard method == "OPTIONS" else { throw .bad("the target * goes with OPTIONS alone") }
            return text
        }
        let scheme = text.prefix(8).lowercased()
        guard let start = ["https://", "http://"].first(where: scheme.hasPrefix)?.count else {
            throw .bad("a target is a path, or a URL of http or https")
        }
        let rest = text.dropFirst(start)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.isEmpty, isHost(Array(authority.utf8)) else { throw .bad("the target's host is none") }
        let path = rest.dropFirst(authority.count)
        return path.first == "/" ? String(path) : "/" + path
    }

    // MARK: Headers

    /// A header's name and its value, without the white space around it.
    static func field(
        _ line: UnsafeRawBufferPointer
    ) throws(HTTPFault) -> (name: Slice<UnsafeRawBufferPointer>, value: Slice<UnsafeRawBufferPointer>) {
        guard let first = line.first, !isSpace(first) else { throw .bad("a header goes on in a second line") }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .bad("a header is NAME: VALUE") }
        let name = line[..<colon]
        guard !name.isEmpty, name.allSatisfy(isInToken) else { throw .bad("a header's name is no token") }
        var value = line[(colon + 1)...].drop(while: isSpace)
        while let last = value.last, isSpace(last) { value.removeLast() }
        guard value.allSatisfy(isInValue) else { throw .bad("a header's value has a control character in it") }
        return (name, value)
    }

    mutating func add(_ line: UnsafeRawBufferPointer) throws(HTTPFault) {
        let (name, value) = try Self.field(line)
        if Self.equals(name, "host") {
            guard !hasHost else { throw .bad("Host is there twice") }
            guard Self.isHost(Array(value)) else { throw .bad("Host is no HOST or HOST:PORT") }
            hasHost = true
        } else if Self.equals(name, "content-length") {
            guard length == nil else { throw .bad("Content-Length is there twice") }
            length = try Self.length(value)
        } else if Self.equals(name, "transfer-encoding") {
            guard transferEncoding == nil else { throw .bad("Transfer-Encoding is there twice") }
            transferEncoding = Self.text(value).lowercased()
        } else if Self.equals(name, "connection") {
            for option in Self.list(value) {
                if option == "close" { closes = true }
                if option == "keep-alive" { keepsAlive = true }
            }
        } else if Self.equals(name, "expect") {
            let isKnown = Self.list(value).allSatisfy { $0 == "100-continue" }
            if !isKnown { expectation = .unknown } else if expectation == .none { expectation = .toContinue }
        } else if Self.equals(name, "content-type") {
            contentType = contentType ?? Self.text(value)
        } else if Self.equals(name, "content-encoding") {
            contentEncoding = (contentEncoding.map { $0 + ", " } ?? "") + Self.text(value).lowercased()
        } else if Self.equals(name, "user-agent") {
            userAgent = userAgent ?? Self.text(value)
        } else if Self.equals(name, "accept") {
            accept = (accept.map { $0 + ", " } ?? "") + Self.text(value).lowercased()
        } else if Self.equals(name, "last-event-id") {
            lastEventID = lastEventID ?? Self.text(value)
        }
    }

    // MARK: All of it

    func request() throws(HTTPFault) -> HTTPRequest {
        let isVersion11 = minorVersion > 0
        guard hasHost || !isVersion11 else { throw .bad("HTTP/1.1 needs a Host header") }
        return HTTPRequest(
            method: HTTPMethod(rawValue: method), target: target, isVersion11: isVersion11,
            isKeepAlive: isVersion11 ? !closes : keepsAlive && !closes, body: try body(isVersion11),
            // HTTP/1.0 has none.
            expectation: isVersion11 ? expectation : .none, contentType: contentType,
            contentEncoding: contentEncoding, userAgent: userAgent, accept: accept, lastEventID: lastEventID)
    }

    private func body(_ isVersion11: Bool) throws(HTTPFault) -> HTTPRequest.Body {
        guard let transferEncoding else { return .bytes(length ?? 0) }
        guard length == nil else { throw .bad("Content-Length and Transfer-Encoding are both there") }
        guard isVersion11 else { throw .bad("HTTP/1.0 has no Transfer-Encoding") }
        if transferEncoding == "chunked" { return .chunked }
        let codings = transferEncoding.split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } }
        guard codings.last == "chunked", codings.count(where: { $0 == "chunked" }) == 1 else {
            throw .bad("the last Transfer-Encoding of a request must be chunked")
        }
        throw HTTPFault(status: .notImplemented, message: "no Transfer-Encoding is known here but chunked")
    }

    private static func length(_ digits: Slice<UnsafeRawBufferPointer>) throws(HTTPFault) -> Int {
        guard !digits.isEmpty, digits.allSatisfy(isDigit) else { throw .bad("Content-Length is no decimal number") }
        var length = 0
        for digit in digits {
            let (tens, isTooLong) = length.multipliedReportingOverflow(by: 10)
            let (sum, isPast) = tens.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
            guard !isTooLong, !isPast else { throw .bad("Content-Length is too large") }
            length = sum
        }
        return length
    }

    // MARK: Characters

    /// As Swift's comparison of text takes a time that grows as the square of the marks in a row, other text is none.
    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        bytes.allSatisfy { $0 < 0x80 } ? String(decoding: bytes, as: UTF8.self) : ""
    }

    private static func list(_ value: Slice<UnsafeRawBufferPointer>) -> [String] {
        text(value).lowercased().split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } }
    }

    private static func equals(_ name: Slice<UnsafeRawBufferPointer>, _ lowercased: StaticString) -> Bool {
        guard name.count == lowercased.utf8CodeUnitCount else { return false }
        return lowercased.withUTF8Buffer { other in zip(name, other).allSatisfy { lowercase($0) == $1 } }
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    /// `uri-host [":" port]` of RFC 3986; empty for a target without one.
    private static func isHost(_ text: [UInt8]) -> Bool {
        var host = text[...]
        var port = text[text.endIndex...]
        if host.first == UInt8(ascii: "[") {
            guard let end = host.firstIndex(of: UInt8(ascii: "]")) else { return false }
            port = host[(end + 1)...]
            host = host[1..<end]
            guard !host.isEmpty, host.allSatisfy({ isInName($0) || $0 == UInt8(ascii: ":") }) else { return false }
        } else {
            port = host.drop { $0 != UInt8(ascii: ":") }
            host = host[..<port.startIndex]
            guard host.allSatisfy(isInName) else { return false }
        }
        return port.isEmpty || port.first == UInt8(ascii: ":") && port.dropFirst().allSatisfy(isDigit)
    }

    private static func isInName(_ byte: UInt8) -> Bool {
        isLetterOrDigit(byte) || "-._~%!$&'()*+,;=".utf8.contains(byte)
    }

    private static func isInToken(_ byte: UInt8) -> Bool {
        isLetterOrDigit(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }

    static func isInValue(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lowercase(byte))
    }
}
