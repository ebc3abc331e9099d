import NIOCore
import NIOHPACK
import TestSupport
import Testing

@testable import EtcdClient

/// A member's side of one stream, and the results.
@Suite("A stream of gRPC")
struct GRPCStreamTests {
    private static let limit = 100
    private let well = HPACKHeaders([(":status", "200"), ("content-type", "application/grpc")])

    private func trailers(_ status: String, _ message: String? = nil) -> HPACKHeaders {
        HPACKHeaders([("grpc-status", status)] + (message.map { [("grpc-message", $0)] } ?? []))
    }

    private func outputs(_ feed: (inout GRPCStream) -> Void) -> (messages: [String], end: EtcdError??) {
        var stream = GRPCStream(maximumMessageBytes: Self.limit)
        feed(&stream)
        return drain(&stream)
    }

    private func drain(_ stream: inout GRPCStream) -> (messages: [String], end: EtcdError??) {
        var messages: [String] = []
        var end: EtcdError??
        while let output = stream.next() {
            #expect(end == nil, "something comes behind the end")
            switch output {
            case .message(let message): messages.append(String(buffer: message))
            case .end(let error): end = .some(error)
            }
        }
        return (messages, end)
    }

    private func message(_ text: String) -> ByteBuffer {
        GRPCMessageBuffer.frame { $0 = ProtobufWriter($0.bytes + text) }
    }

    @Test("messages come out whole, however their bytes are cut")
    func cuts() {
        var all = ByteBuffer()
        for text in ["one", "", "three", String(repeating: "x", count: Self.limit)] {
            all.writeImmutableBuffer(message(text))
        }
        for size in 1...all.readableBytes {
            let (messages, end) = outputs { stream in
                stream.receive(well, endsStream: false)
                var rest = all
                while rest.readableBytes > 0, let piece = rest.readSlice(length: min(size, rest.readableBytes)) {
                    stream.receive(piece, endsStream: false)
                }
                stream.receive(trailers("0"), endsStream: true)
            }
            #expect(messages == ["one", "", "three", String(repeating: "x", count: Self.limit)])
            #expect(end == .some(nil))
        }
    }

    @Test("messages that were given out stay as they are while more comes")
    func slices() {
        var stream = GRPCStream(maximumMessageBytes: Self.limit)
        stream.receive(well, endsStream: false)
        var both = message("first")
        both.writeImmutableBuffer(message("second").getSlice(at: 0, length: 7)!)
        stream.receive(both, endsStream: false)
        guard case .message(let first)? = stream.next() else {
            Issue.record("no message")
            return
        }
        stream.receive(message("second").getSlice(at: 7, length: 4)!, endsStream: false)
        #expect(drain(&stream).messages == ["second"])
        #expect(String(buffer: first) == "first")
    }

    @Test(
        "a status is an error with its code, its words, and whether the request may have been applied",
        arguments: 1...20)
    func statuses(_ code: Int) throws {
        let trailersOnly = outputs {
            $0.receive(
                HPACKHeaders([
                    (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "\(code)"),
                    ("grpc-message", "50%25 of %C3%A4"),
                ]), endsStream: true)
        }
        let behindMessage = outputs {
            $0.receive(well, endsStream: false)
            $0.receive(message("m"), endsStream: false)
            $0.receive(trailers("\(code)", "50%25 of %C3%A4"), endsStream: true)
        }
        #expect(behindMessage.messages == ["m"])
        for end in [trailersOnly.end, behindMessage.end] {
            let error = try #require(end.flatMap { $0 })
            #expect(error.code.rawValue == code)
            #expect(error.message == "50% of ä")
            #expect(error.mayHaveBeenApplied == ![3, 5, 6, 7, 8, 9, 11, 12, 16].contains(code))
        }
    }

    @Test("an answer other than gRPC is an error")
    func others() throws {
        let cases: [(String, EtcdError.Code, (inout GRPCStream) -> Void)] = [
            (
                "no status", .unknown,
                {
                    $0.receive(
                        HPACKHeaders([(":status", "200"), ("content-type", "application/grpc")]), endsStream: true)
                }
            ),
            (
                "status in words", .unknown,
                { [well] in
                    $0.receive(well, endsStream: false)
                    $0.receive(HPACKHeaders([("grpc-status", "fine")]), endsStream: true)
                }
            ),
            (
                "negative status", .unknown,
                { [well] in
                    $0.receive(well, endsStream: false)
                    $0.receive(HPACKHeaders([("grpc-status", "-1")]), endsStream: true)
                }
            ),
            (
                "no HTTP status", .internal,
                { $0.receive(HPACKHeaders([("content-type", "application/grpc")]), endsStream: false) }
            ),
            ("HTTP 503", .unavailable, { $0.receive(HPACKHeaders([(":status", "503")]), endsStream: true) }),
            ("HTTP 404", .unimplemented, { $0.receive(HPACKHeaders([(":status", "404")]), endsStream: false) }),
            ("HTTP 401", .unauthenticated, { $0.receive(HPACKHeaders([(":status", "401")]), endsStream: false) }),
            (
                "HTML", .internal,
                { $0.receive(HPACKHeaders([(":status", "200"), ("content-type", "text/html")]), endsStream: false) }
            ),
            ("data first", .internal, { $0.receive(ByteBuffer(string: "x"), endsStream: false) }),
            (
                "no trailers", .internal,
                { [well] in
                    $0.receive(well, endsStream: false)
                    $0.receive(ByteBuffer(), endsStream: true)
                }
            ),
            (
                "headers within", .internal,
                { [well] in
                    $0.receive(well, endsStream: false)
                    $0.receive(well, endsStream: false)
                }
            ),
            (
                "compressed", .internal,
                { [well] in
                    $0.receive(well, endsStream: false)
                    $0.receive(ByteBuffer(bytes: [1]), endsStream: false)
                }
            ),
            (
                "too long", .resourceExhausted,
                { [well] in
                    $0.receive(well, endsStream: false)
                    $0.receive(ByteBuffer(bytes: [0, 0, 0, 0, 101]), endsStream: false)
                }
            ),
            (
                "cut off", .internal,
                { [well] in
                    $0.receive(well, endsStream: false)
                    $0.receive(ByteBuffer(bytes: [0, 0, 0, 0, 1]), endsStream: false)
                    $0.receive(HPACKHeaders([("grpc-status", "0")]), endsStream: true)
                }
            ),
        ]
        for (name, code, feed) in cases {
            let (messages, end) = outputs(feed)
            #expect(messages.isEmpty, "\(name)")
            let error = try #require(end.flatMap { $0 }, "\(name)")
            #expect(error.code == code, "\(name)")
            #expect(error.mayHaveBeenApplied, "\(name)")
        }
    }

    @Test("a word in between is passed over; nothing comes behind an end")
    func order() {
        let (messages, end) = outputs {
            $0.receive(HPACKHeaders([(":status", "103")]), endsStream: false)
            $0.receive(well, endsStream: false)
            $0.receive(message("m"), endsStream: false)
            $0.receive(trailers("0"), endsStream: true)
            $0.receive(message("n"), endsStream: false)
            $0.receive(trailers("5"), endsStream: true)
            $0.abort(EtcdError(.unavailable, "", mayHaveBeenApplied: true))
        }
        #expect(messages == ["m"])
        #expect(end == .some(nil))
    }

    @Test("percents that are none stay")
    func percents() {
        #expect(GRPCStatus.decodingPercents("%") == "%")
        #expect(GRPCStatus.decodingPercents("%4") == "%4")
        #expect(GRPCStatus.decodingPercents("%4g%%41%41") == "%4g%AA")
        #expect(GRPCStatus.decodingPercents("%ff") == "\u{FFFD}")
        #expect(GRPCStatus.decodingPercents(String(repeating: "a", count: 10_000)).count == 4_096)
    }

    @Test("whatever comes, a stream ends once and takes no more than its limit", arguments: seeds)
    func fuzz(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<1_000 {
            var stream = GRPCStream(maximumMessageBytes: Self.limit)
            var ends = 0
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                let endsStream = Int.random(in: 0..<4, using: &generator) == 0
                if Bool.random(using: &generator) {
                    var bytes = Array(message("some text").readableBytesView)
                    bytes.mutate(using: &generator)
                    stream.receive(ByteBuffer(bytes: bytes), endsStream: endsStream)
                } else {
                    let choice = [well, trailers("0"), trailers("14", "%zz"), HPACKHeaders()]
                    stream.receive(choice.randomElement(using: &generator)!, endsStream: endsStream)
                }
                while let output = stream.next() {
                    #expect(ends == 0)
                    switch output {
                    case .message(let message): #expect(message.readableBytes <= Self.limit)
                    case .end: ends += 1
                    }
                }
            }
        }
    }
}

extension ByteBuffer {
    fileprivate static func + (buffer: ByteBuffer, text: String) -> ByteBuffer {
        var buffer = buffer
        buffer.writeString(text)
        return buffer
    }
}
