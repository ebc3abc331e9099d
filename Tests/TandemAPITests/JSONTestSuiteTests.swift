import TandemAPI
import Testing

@Suite("The JSON parsing test suite")
struct JSONTestSuiteTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var testDescription: String { name }
    }

    static let valid = cases(JSONTestSuiteCases.valid)
    static let invalid = cases(JSONTestSuiteCases.invalid)
    static let accepted = cases(JSONTestSuiteCases.accepted)
    static let refused =
        cases(JSONTestSuiteCases.refusedSurrogates) + cases(JSONTestSuiteCases.refusedEncodings)
        + cases(JSONTestSuiteCases.refusedStructures)

    @Test("valid texts are read, and written again they are the same value", arguments: valid + accepted)
    func accepts(_ example: Case) throws {
        let value = try JSONValue(parsing: example.bytes)
        #expect(try JSONValue(parsing: value.text.bytes) == value)
        // The other way through the reader: to keep the text as it came.
        let kept = try JSONReader.read(example.bytes) { reader throws(JSONError) in try reader.readText() }
        #expect(try JSONValue(parsing: kept.bytes) == value)
    }

    @Test("invalid texts are refused, read or skipped", arguments: invalid + refused)
    func refuses(_ example: Case) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: example.bytes) }
        #expect(throws: JSONError.self) {
            try JSONReader.read(example.bytes) { reader throws(JSONError) in try reader.skipValue() }
        }
    }

    @Test("readable texts have the meaning in the names of the cases")
    func means() throws {
        func value(_ name: String) throws -> JSONValue {
            try JSONValue(parsing: try #require((Self.valid + Self.accepted).first { $0.name == name }).bytes)
        }
        #expect(try value("y_string_surrogates_U+1D11E_MUSICAL_SYMBOL_G_CLEF") == ["\u{1D11E}"])
        #expect(try value("y_string_allowed_escapes") == ["\"\\/\u{8}\u{c}\n\r\t"])
        #expect(try value("y_string_nonCharacterInUTF-8_U+10FFFF") == ["\u{10FFFF}"])
        #expect(try value("y_object_escaped_null_in_key") == ["foo\0bar": 42])
        #expect(try value("y_object_duplicated_key") == ["a": "c"])
        #expect(try value("i_number_too_big_pos_int") == [.number("100000000000000000000")])
    }

    @Test("no case is missing")
    func counts() {
        #expect(Self.valid.count == 95)
        #expect(Self.invalid.count == 188)
        #expect(Self.accepted.count + Self.refused.count == 35)
        let all = Self.valid + Self.invalid + Self.accepted + Self.refused
        #expect(Set(all.map(\.name)).count == all.count)
    }

    private static func cases(_ lines: String) -> [Case] {
        lines.split(separator: "\n").map { line in
            let parts = line.split(separator: " ", maxSplits: 1)
            precondition(parts.count == 2, "a name, a blank, the bytes: \(line)")
            return Case(name: String(parts[0]), bytes: bytes(Array(parts[1].utf8)[...]))
        }
    }

    /// Resolves `%XX` and `%{text*n}`.
    private static func bytes(_ line: ArraySlice<UInt8>) -> [UInt8] {
        var (line, bytes) = (line, [UInt8]())
        while let first = line.popFirst() {
            guard first == UInt8(ascii: "%") else {
                bytes.append(first)
                continue
            }
            if line.first == UInt8(ascii: "{") {
                // The text may have braces in it, a count has none.
                let star = line.firstIndex(of: UInt8(ascii: "*"))!
                let end = line[star...].firstIndex(of: UInt8(ascii: "}"))!
                let count = Int(String(decoding: line[star + 1..<end], as: UTF8.self))!
                bytes += repeatElement(line[line.startIndex + 1..<star], count: count).joined()
                line = line[(end + 1)...]
            } else {
                bytes.append(UInt8(String(decoding: line.prefix(2), as: UTF8.self), radix: 16)!)
                line = line.dropFirst(2)
            }
        }
        return bytes
    }
}
