import Foundation
import TandemAPI
import Testing

@Suite("JSON texts, right and wrong")
struct JSONSyntaxTests {
    static let valid = [
        "[]", "{}", " [ 1 , 2 ] ", "0", "-0", "-1", "1.5", "1e5", "1E+5", "1e-5", "0.1e1",
        "123456789012345678901234567890",
        "\"\"", "\"a\"", "true", "false", "null", #"{"a":1}"#, #"{"a":{"b":[1,{}]}}"#, #"{"":0}"#,
        #""\u0041\n\t\"\\\/\b\f\r""#, #""\uD834\uDD1E""#, "\"é\"", "\"\u{1F600}\"", "\"\u{7f}\"", #""\u0000""#,
        "[[[[]]]]", "\t\n\r 1", #"{"a":1,"a":2}"#, #""\uFFFF""#, "\"\u{FFFF}\"", "[1]\n",
    ]

    static let invalid = [
        "", " ", "[", "]", "{", "}", "[1", "[1,]", "[,1]", "[1,,2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
        "{'a':1}", "{\"a\":1 \"b\":2}", "[1 2]", "01", "-", "-01", "+1", ".5", "1.", "1.e1", "1e", "1e+", "0x1", "NaN",
        "Infinity", "-Infinity", "tru", "truex", "True", "nul", "\"", "\"a", "\"\\\"", #""\a""#, #""\u12""#,
        #""\u12G4""#,
        #""\uD834""#, #""\uDD1E""#, #""\uD834\u0041""#, #""\uD834x""#, "\"\n\"", "\"\t\"", "\"\u{0}\"", "1 2", "[] []",
        "{}}", "[1]]", "/**/1", "[1]#", "\u{FEFF}1", "\"\\", "[\"a\":1]", "{1:2}", "{[]:1}", "nulll", "--1", "1e1.5",
    ]

    @Test("a valid text is read", arguments: valid)
    func reads(_ text: String) throws {
        let value = try JSONValue(parsing: text)
        #expect(try JSONValue(parsing: value.text.bytes) == value)
    }

    @Test("an invalid text is refused", arguments: invalid)
    func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    /// Not UTF-8: overlong forms, surrogates, lone continuation bytes, cut sequences, beyond U+10FFFF.
    @Test(
        "bytes that are no UTF-8 are refused",
        arguments: [
            [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xF0, 0x80, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0x80], [0xBF], [0xC3],
            [0xE2, 0x82],
            [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xC1, 0x81],
        ] as [[UInt8]])
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        #expect(throws: JSONError.self) { try JSONValue(parsing: [quote] + bytes + [quote]) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [quote] + bytes) }
    }

    @Test("nesting has a limit")
    func limitsDepth() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(throws: Never.self) { try JSONValue(parsing: nested(JSONReader.maximumDepth)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: nested(JSONReader.maximumDepth + 1)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[", count: 100_000)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: #"{"a":"#, count: 100_000)) }
    }

    @Test("a text that is cut anywhere is refused, and never read past its end")
    func refusesEveryPrefix() throws {
        let text = Array(#"{"a":[1,-2.5e3,"x\u00e9\n",true,false,null,{"b":"é"}],"c":{}}"#.utf8)
        for length in 0..<text.count {
            #expect(throws: JSONError.self, "prefix of \(length)") { try JSONValue(parsing: text.prefix(length)) }
        }
    }

    @Test("a text kept as it came loses its white space and nothing else")
    func compacts() throws {
        let text = Array("{ \"a b\" :\n [ 1 , \"x \\\" y\" ,\ttrue ] }".utf8)
        let kept = try JSONReader.read(text) { reader throws(JSONError) in try reader.readText() }
        #expect(kept.description == #"{"a b":[1,"x \" y",true]}"#)
    }

    @Test("an error names the member it lies in")
    func findsPaths() throws {
        func path(_ text: String, _ offset: Int) -> String {
            Array(text.utf8).withUnsafeBytes { JSONError(.type, at: offset, "").path(in: $0) }
        }
        let text = #"{"a":{"b":[1,{"c":2}]},"d":3}"#
        #expect(path(text, text.utf8.count - 2) == "d")
        #expect(path(text, 18) == "a.b[1].c")
        #expect(path(text, 11) == "a.b[0]")
        #expect(path(text, 0) == "")
    }
}
