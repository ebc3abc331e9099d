import TandemAPI
import Testing

@Suite("Errors are bounded in bytes")
struct BoundedErrorTests {
    @Test("a text is cut between two scalars, and says so")
    func cutsText() {
        #expect("abc".cut(toBytes: 3) == "abc")
        #expect("abcdef".cut(toBytes: 5) == "ab…")
        // Two bytes each: the fifth byte is in the middle of one.
        #expect("éééééé".cut(toBytes: 8) == "éé…")
        #expect("😀😀😀".cut(toBytes: 11) == "😀😀…")
        // One `Character`, however long.
        let marks = "a" + String(repeating: "\u{301}", count: 10_000)
        #expect(marks.cut(toBytes: 100).utf8.count <= 100)
        for maximum in 0..<20 { #expect("a😀é€😀".cut(toBytes: maximum).utf8.count <= max(maximum, 3)) }
    }

    @Test("past 32 causes none is made, all are counted, and the message says how many there are")
    func boundsCauses() {
        var made = 0
        func cause(_ index: Int) -> APIError.Cause {
            made += 1
            return .init("spec[\(index)]", .invalid, "no")
        }
        var causes: APIError.Causes = []
        for index in 0..<40_000 { causes.append(cause(index)) }
        #expect(made == 32 && causes.named.count == 32 && causes.count == 40_000)
        let sum = causes + causes
        #expect(sum.named == causes.named && sum.count == 80_000)
        let error = APIError.invalid(.service, name: "web", sum)
        #expect(error.causes.map(\.field) == (0..<32).map { "spec[\($0)]" })
        #expect(error.message.hasPrefix("Service \"web\" is invalid (the first 32 of 80000 faults): spec[0]: no; "))
        let few = APIError.invalid(.service, name: "web", [cause(0), cause(1)])
        #expect(few.message == "Service \"web\" is invalid: spec[0]: no; spec[1]: no")
    }

    @Test("no error is long, whatever it quotes")
    func boundsTexts() {
        let long = String(repeating: "x", count: 1 << 20)
        let cause = APIError.Cause(long, .invalid, long)
        #expect(cause.field.utf8.count == 256 && cause.message.utf8.count == 256)
        let causes: APIError.Causes = (0..<100).reduce(into: []) { causes, _ in causes.append(cause) }
        for error in [
            APIError.invalid(.pod, name: long, causes), .notFound(.pod, name: long),
            APIError(.notFound, reason: "x", long), .unavailable(long),
        ] {
            #expect(error.message.utf8.count <= APIError.maximumMessageBytes)
            var writer = JSONWriter()
            error.write(to: &writer)
            #expect(writer.bytes.count < 32 << 10)
        }
        // A name that may be one is never cut.
        let name = String(repeating: "x", count: 253)
        #expect(APIError.notFound(.pod, name: name).message == "pod \"\(name)\" not found")
    }
}
