import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import TandemServer

@Suite("Requests of HTTP/1.1, as RFC 9112 has them")
struct HTTPRequestReaderTests {
    /// The result: each request's method and target, its body in braces, and the status of a fault.
    private func read(_ text: String, inPiecesOf size: Int = .max) -> String {
        var reader = HTTPRequestReader()
        var bytes = ByteBuffer(string: text)
        var found = ""
        while let piece = bytes.readSlice(length: min(size, bytes.readableBytes)), piece.readableBytes > 0 {
            reader.append(piece)
            while true {
                switch reader.next() {
                case .none: break
                case .request(let request):
                    found += "\(request.method.rawValue) \(request.target) {"
                    continue
                case .body(let part):
                    found += String(buffer: part)
                    continue
                case .end:
                    found += "} "
                    continue
                case .fault(let fault):
                    found += "\(fault.status.code) "
                    continue
                }
                break
            }
        }
        return found
    }

    private func request(_ text: String) -> HTTPRequest? {
        var reader = HTTPRequestReader()
        reader.append(ByteBuffer(string: text))
        guard case .request(let request) = reader.next() else { return nil }
        return request
    }

    static let good: [(text: String, read: String)] = [
        ("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", "GET /livez {} "),
        ("GET /livez?verbose HTTP/1.1\nhost:a:1\n\n", "GET /livez?verbose {} "),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / {} "),
        ("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.9\r\nHost: [::1]:8443\r\n\r\n", "GET / {} GET / {} "),
        // The four forms of a target.
        ("GET https://ipam.example:8443/livez?a HTTP/1.1\r\nHost: other\r\n\r\n", "GET /livez?a {} "),
        ("GET HTTP://ipam HTTP/1.1\r\nHost: a\r\n\r\n", "GET / {} "),
        ("GET http://[fd00::1]?verbose HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?verbose {} "),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * {} "),
        ("CONNECT ipam:443 HTTP/1.1\r\nHost: ipam:443\r\n\r\n", "CONNECT ipam:443 {} "),
        ("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "BREW /pot {} "),
        // Bodies, and the text after them.
        (
            "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: 0004\r\n\r\nbodyGET / HTTP/1.0\r\n\r\n",
            "POST /rpc {body} GET / {} "
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n4\r\nbody\r\n3;a=\"b\"\r\n by\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.0\r\n\r\n",
            "POST / {body by} GET / {} "
        ),
        // An upgrade that the server does not support.
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / {} GET /a {} "
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\t!\r\n\r\n", "GET / {} "),
    ]

    @Test("requests, however their bytes are cut", arguments: [1, 2, 3, 7, 64, .max])
    func reads(size: Int) {
        for (text, read) in Self.good { #expect(self.read(text, inPiecesOf: size) == read, "\(text)") }
    }

    static let bad: [(text: String, status: Int)] = [
        ("GET /\r\n\r\n", 400), ("GET  / HTTP/1.1\r\n", 400), (" GET / HTTP/1.1\r\n", 400),
        ("GET / HTTP/1.1 \r\n", 400),
        ("GET / HTTP/11\r\n", 400), ("GET / http/1.1\r\n", 400), ("G{T / HTTP/1.1\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\n", 505), ("GET /\u{e9} HTTP/1.1\r\n", 400), ("GET /a#b HTTP/1.1\r\n", 400),
        ("GET * HTTP/1.1\r\n", 400), ("GET livez HTTP/1.1\r\n", 400), ("GET ftp://a/ HTTP/1.1\r\n", 400),
        ("GET http:///livez HTTP/1.1\r\n", 400), ("GET http://u@h/ HTTP/1.1\r\n", 400),
        ("CONNECT /a HTTP/1.1\r\n", 400),
        ("CONNECT a HTTP/1.1\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n", 400), ("GET / HTTP/1.1\r\nHost: http://a\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n", 400), ("GET / HTTP/1.1\r\nHost: u@a\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: ::1\r\n", 400), ("GET / HTTP/1.1\r\nHost: [::1\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n", 400),
        ("GET / HTTP/1.1\r\n: a\r\n", 400), ("GET / HTTP/1.1\r\nA\r\n", 400), ("GET / HTTP/1.1\r\nA: \u{0}\r\n", 400),
        ("GET / HTTP/1.1\r\nA: b\rC: d\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n", 400), ("POST / HTTP/1.1\r\nContent-Length: +5\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: \r\n", 400), ("POST / HTTP/1.1\r\nContent-Length: 0x5\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: " + String(repeating: "x", count: 20_000), 431),
        ("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: b\r\n", count: 300) + "\r\n", 431),
        (String(repeating: "\r\n", count: 300), 431),
    ]

    @Test("bytes that two readers could take for two things are a fault, however cut", arguments: [1, 5, .max])
    func refuses(size: Int) {
        for (text, status) in Self.bad {
            // Whatever stands behind it, nothing more is read.
            let found = read(text + "\r\n\r\nGET / HTTP/1.0\r\n\r\n", inPiecesOf: size)
            #expect(found == "\(status) ", "\(text.prefix(80).debugDescription): \(found)")
        }
    }

    @Test(
        "a chunk that is not as its length says ends the connection",
        arguments: [
            "x\r\n", "\r\n", "4 4\r\n", "-4\r\n", "4\nbody\r\n", "4\r\nbodyX\r\n", "4\r\nbody\n0\r\n",
            "4\r\nbody4\r\nbody\r\n",
            "10000000000000000\r\n", "4;\u{0}\r\n", "4;" + String(repeating: "a", count: 2_000), "0\r\nA b\r\n",
            "0\r\n" + String(repeating: "A: b\r\n", count: 5_000),
        ])
    func refusesChunks(_ chunks: String) {
        for size in [1, Int.max] {
            let found = read(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, inPiecesOf: size)
            #expect(found.hasPrefix("POST / {"))
            #expect(
                found.hasSuffix("400 ") || found.hasSuffix("431 "),
                "\(chunks.prefix(40).debugDescription): \(found.suffix(40))")
        }
    }

    @Test("a client's headers on the connection, on its body and on its expectations")
    func knowsHeaders() throws {
        func get(_ version: String, _ headers: String) throws -> HTTPRequest {
            try #require(request("GET / HTTP/\(version)\r\nHost: a\r\n\(headers)\r\n"))
        }
        #expect(try get("1.1", "").isKeepAlive && !get("1.1", "Connection: x, Close\r\n").isKeepAlive)
        #expect(try !get("1.0", "").isKeepAlive && get("1.0", "Connection: Keep-Alive\r\n").isKeepAlive)
        #expect(try get("1.1", "Expect: 100-Continue\r\n").expectation == .toContinue)
        #expect(try get("1.1", "Expect: 100-continue\r\nExpect: more\r\n").expectation == .unknown)
        #expect(try get("1.0", "Expect: 100-continue\r\n").expectation == .none)
        #expect(try get("1.1", "Content-Encoding: GZip\r\n").contentEncoding == "gzip")
        #expect(try get("1.1", "content-TYPE:application/json\r\n").contentType == "application/json")
        #expect(try get("1.1", "content-type: \u{e9}\r\n").contentType == "")
    }

    @Test("any bytes: no trap, and never more out than in")
    func survivesAnything() {
        var generator = SeededGenerator(seed: 9)
        let seeds = Self.good.map(\.text) + Self.bad.map(\.text)
        for _ in 0..<2_000 {
            var bytes = Array(seeds.randomElement(using: &generator)!.utf8.prefix(400))
            for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
                bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            var reader = HTTPRequestReader()
            reader.append(ByteBuffer(bytes: bytes))
            var out = 0
            for _ in 0..<1_000 {
                let next = reader.next()
                if case .body(let part) = next { out += part.readableBytes }
                if next == .none { break }
            }
            #expect(reader.next() == .none && out <= bytes.count)
        }
    }
}
