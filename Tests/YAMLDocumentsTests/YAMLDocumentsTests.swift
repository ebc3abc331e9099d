import TandemAPI
import TestSupport
import Testing
import YAMLDocuments

@Suite("YAML documents")
struct YAMLDocumentsTests {
    private func fault(_ text: String) -> YAMLFault? {
        do { _ = try YAMLDocuments.read(text) } catch { return error }
        return nil
    }

    private static let readable: [(text: String, values: [JSONValue])] = [
        ("", []),
        ("# nothing\n", []),
        ("---\n---\na\n--- # b\n~\n", ["a"]),
        ("a: 1\n---\nb: 2\n", [["a": 1], ["b": 2]]),
        ("[yes, no, true, ~, null]", [[true, false, true, .null, .null]]),
        ("['', \"1\", !!str 1, x]", [["", "1", "1", "x"]]),
        ("[1, 0x10, 1_000, 1.50, 1e3, .5]", [[1, 16, 1000, .number("1.5"), 1000, .number("0.5")]]),
        ("1: a\n\"b c\": {}\n", [["1": "a", "b c": [:]]]),
        ("a: |\n  x\n  *y\n", [["a": "x\n*y\n"]]),
        ("a: &x {b: 1}\nc: [*x, *x]\n", [["a": ["b": 1], "c": [["b": 1], ["b": 1]]]]),
        (
            "[!!int 0x10, !!int \"1\", !!float 1, !!float 1.5, !!bool no, !!null ~]",
            [[16, 1, 1, .number("1.5"), false, .null]]
        ),
        ("[!!str true, !own 1, !!timestamp 2001-01-01]", [["true", "1", "2001-01-01"]]),
        // Of two anchors with one name each holds for the aliases between it and the next.
        ("[&x 1, *x, &x 2, *x]", [[1, 1, 2, 2]]),
        ("[&k a, {*k : 1}]", [["a", ["a": 1]]]),
        ("&k a: *k\n", [["a": "a"]]),
        ("base: &b {x: 1, z: 2}\nall: {<<: *b, z: 3}\n", [["base": ["x": 1, "z": 2], "all": ["x": 1, "z": 3]]]),
        ("a: {<<: [{x: 1}, {x: 2, z: 2}], w: 3}", [["a": ["x": 1, "z": 2, "w": 3]]]),
        // The later wins, merged or not.
        ("a: {x: 0, <<: {x: 1, w: 1}, <<: {w: 2, z: 2}, z: 4}", [["a": ["x": 1, "w": 2, "z": 4]]]),
        ("a: 1\na: 2\n", [["a": 2]]),
        ("a: {\"<<\": 1, x: 2}", [["a": ["<<": 1, "x": 2]]]),
        ("a: {!!str <<: {x: 1}}", [["a": ["<<": ["x": 1]]]]),
        ("a: {!!merge <<: {x: 1}}", [["a": ["x": 1]]]),
        // Composed and decomposed.
        ("{\u{E9}: 1, e\u{301}: 2}", [["\u{E9}": 1, "e\u{301}": 2]]),
        ("\u{FEFF}a: 1\nb: 2\n", [["a": 1, "b": 2]]),
        ("\u{FEFF}# nothing\n", []),
        ("a: \"\u{FEFF}\"\n", [["a": "\u{FEFF}"]]),
        // A colon at the end of a plain scalar, before a character that ends that in brackets and braces.
        (
            "{ip: fd00::, b: [fd00::, 2001:db8::, x y:, a :]}",
            [["ip": "fd00::", "b": ["fd00::", "2001:db8::", "x y:", "a :"]]]
        ),
        (
            "[a:, 'b:,', \"c:]\", {d: e:}, {f:, g: 1}] # h:,\n",
            [["a:", "b:,", "c:]", ["d": "e:"], ["f:": .null, "g": 1]]]
        ),
        ("[\"a\":, {\"b\":}]", [[["a": .null], ["b": .null]]]),
        ("a: |\n  x:, y\nb: c:, d\n", [["a": "x:, y\n", "b": "c:, d"]]),
        ("[\u{E000}:, a:\u{301}, b:, \u{E001}]", [["\u{E000}:", "a:\u{301}", "b:", "\u{E001}"]]),
        // Texts that kubectl refuses.
        ("{a: \"x\\/y\"}\n---\n{b: 2}\n", [["a": "x/y"], ["b": 2]]),
        ("[a?b, {a?: 1}]", [["a?b", ["a?": 1]]]),
        ("a: 1\n\u{FEFF}---\n\u{FEFF}b: 2\n", [["a": 1], ["b": 2]]),
        // Documents of JSON one after another; text after one of YAML has no line of its own.
        ("{\"a\":1}{\"b\":1.50}\n\n {\"a\":1,\"a\":2}\n", [["a": 1], ["b": .number("1.50")], ["a": 2]]),
        ("a: 1\n...\nb: 2\n---\nc: 3\n", [["a": 1], ["c": 3]]),
        ("a: |\r\n  x\r\n  y", [["a": "x\ny\n"]]),
        // Times and addresses are no numbers of base 60.
        (
            "[12:30, 22:22, 1:30.5, 2001:10:20:30:40:50:1:2, 1:1:1:1:1:1:1:1:1:1:1, 9223372036854775807:0, -1:1]",
            [
                [
                    "12:30", "22:22", "1:30.5", "2001:10:20:30:40:50:1:2", "1:1:1:1:1:1:1:1:1:1:1",
                    "9223372036854775807:0", "-1:1",
                ]
            ]
        ),
    ]

    @Test("documents, scalars, anchors and merge keys")
    func reads() {
        for (text, values) in Self.readable { #expect((try? YAMLDocuments.read(text)) == values, "\(text)") }
    }

    @Test("UTF-16 with its mark is read, and bytes that are no UTF-8 one by one as U+FFFD")
    func readsEncodings() throws {
        let text = "a: é😀\n---\nb: 1\n"
        let units = Array(("\u{FEFF}" + text).utf16)
        let values: [JSONValue] = [["a": "é😀"], ["b": 1]]
        #expect(try YAMLDocuments.read(units.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }) == values)
        #expect(try YAMLDocuments.read(units.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }) == values)
        let broken = Array("a: ".utf8) + [0xE2, 0x82, UInt8(ascii: "x"), 0xFF]
        #expect(try YAMLDocuments.read(broken) == [["a": "\u{FFFD}\u{FFFD}x\u{FFFD}"]])
    }

    @Test("a text that is no YAML, or no JSON, is refused with its line")
    func refuses() {
        let long = String(repeating: "k", count: 1_000)
        for (text, line, problem) in [
            ("a: 1\nb: [\n", 3, ""), ("a: 1\n---\nb: .inf\n", 3, "JSON has no number like .inf"),
            ("a: 1\n---b\n", 2, "a line of --- goes on with b"),
            ("a: 1\n--- {b: 2}\n", 2, "a line of --- goes on with {b"),
            ("~: 1\n", 1, "a key that is no text"), ("18446744073709551615: 1\n", 1, "a key that is no text"),
            ("a: &b [{}]\n<<: *b\n", 2, "<< merges mappings alone"),
            ("a: 1\nb: .inf\n", 2, "JSON has no number like .inf"),
            ("a: 1\n[x]: 2\n", 2, "a key that is no text"), ("a: *b\n", 1, "the alias *b leads nowhere"),
            ("&a [*a]", 1, "the alias *a leads into itself"),
            ("a: &a\n  b: *a\n", 2, "the alias *a leads into itself"),
            ("&a x\n--- \n*a\n", 3, "the alias *a leads nowhere"),
            ("<<: 1\n", 1, "<< merges mappings alone"),
            ("\na: !!int \"true\"\n", 2, "true is no tag:yaml.org,2002:int"),
            ("\na: !!int \"null\"\n", 2, "null is no"), ("\na: !!int 1.5\n", 2, "1.5 is no"),
            ("\na: !!int 1:1\n", 2, "1:1 is no"), ("\na: !!int \(long)\n", 2, "kkk"),
            ("\na: !!float \"[1,2]\"\n", 2, "[1,2] is no"), ("\na: !!float x\n", 2, "x is no"),
            ("\na: !!bool maybe\n", 2, "maybe is no"), ("\na: !!bool 1\n", 2, "1 is no"),
            ("\na: !!null x\n", 2, "x is no"), ("\n!!int x: 1\n", 2, "x is no"),
            ("\na: !!binary aGk\n", 2, "no base64"), ("a: [1,\n::, b]\n", 2, ""), ("[:, b]\n", 1, ""),
        ] {
            let fault = fault(text)
            #expect(fault?.line == line, "\(text.prefix(40))")
            #expect(fault?.problem.hasPrefix(problem) == true, "\(fault?.problem ?? "")")
            #expect(fault?.problem.utf8.count ?? 0 < 200)
        }
    }

    /// Nine aliases of nine aliases and so on: 9^levels elements.
    private func bomb(_ levels: Int) -> String {
        var text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        for level in 1..<levels {
            text += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ","))]\n"
        }
        return text
    }

    @Test("aliases of aliases are refused however they are used")
    func refusesBombs() {
        let seconds = processorSeconds {
            let aliases = Array(repeating: "*a", count: 100).joined(separator: ",")
            let flat = "a: &a \(String(repeating: "x", count: 1 << 20))\nb: [\(aliases)]\n"
            func mapping(_ level: Int) -> String {
                let members = (0..<9).map { "k\($0): \(level == 0 ? "x" : "*a\(level - 1)")" }
                return "a\(level): &a\(level) {\(members.joined(separator: ","))}\n"
            }
            let merging = (0..<9).map(mapping).joined() + "all: {<<: *a8}\n"
            for text in [
                bomb(9), bomb(30), flat, merging, bomb(9) + "? *a8\n: x\n", bomb(9) + "? [*a8]\n: x\n",
                // Each by itself is allowed.
                Array(repeating: bomb(6), count: 100).joined(separator: "---\n"),
            ] {
                #expect(fault(text)?.problem.hasPrefix("excessive aliasing") == true, "\(text.prefix(40))")
            }
            // Manifests are far from it: labels and a template in each of 2,000 objects.
            let object = "labels: &l {a: b, c: d}\nselector: *l\nspec: &s {image: x, env: [*l, *l]}\nother: *s\n"
            #expect(fault(Array(repeating: object, count: 2_000).joined(separator: "---\n")) == nil)
            #expect(fault(bomb(3)) == nil)
            // More than kubectl takes.
            #expect(fault(bomb(4))?.problem.hasPrefix("excessive aliasing: aliases make") == true)
        }
        #expect(seconds < 60)
    }

    @Test("depth is limited, as it is written and with aliases followed")
    func limitsDepth() throws {
        let deepest = YAMLLimits.maximumDepth
        func nested(_ depth: Int) -> [String] {
            [
                String(repeating: "[", count: depth) + String(repeating: "]", count: depth),
                String(repeating: "{a: ", count: depth) + "x" + String(repeating: "}", count: depth),
                String(repeating: "- ", count: depth) + "x",
                (0..<depth).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
                (1..<depth).reduce("- &a0 [x]\n") { text, level in text + "- &a\(level) [*a\(level - 1)]\n" }
                    .split(separator: "\n").dropLast().joined(separator: "\n"),
            ]
        }
        for text in nested(deepest) { #expect(fault(text) == nil) }
        // The values can be sent.
        for text in nested(deepest) {
            #expect(throws: Never.self) { try JSONValue(parsing: YAMLDocuments.read(text)[0].text.bytes) }
        }
        for depth in [deepest + 1, deepest + 2, 900] {
            for text in nested(depth) {
                #expect(fault(text)?.problem.contains("more than 64 deep") == true, "\(depth)")
            }
        }
        for part in ["[", "{a: ", "- ", "? "] { #expect(fault(String(repeating: part, count: 100_000)) != nil) }
    }

    @Test("a key of combining marks takes time as its length")
    func readsCombiningMarks() throws {
        let seconds = try processorSeconds {
            let name = "e" + String(repeating: "\u{301}\u{323}", count: 400_000)
            let documents = try YAMLDocuments.read("? \"\(name)\"\n: 1\n")
            #expect(documents.first?[name] == 1)
        }
        #expect(seconds < 60)
    }

    @Test("a large scalar is read as it is")
    func readsLargeScalars() throws {
        let seconds = try processorSeconds { () throws in
            let digits = String(repeating: "1", count: 4 << 20)
            let blank = String(repeating: "a b ", count: 1 << 20) + "c"
            for text in [digits, blank] { #expect(try YAMLDocuments.read("a: \(text)\n") == [["a": .string(text)]]) }
            #expect(try YAMLDocuments.read("a: \"\(blank)\"\n") == [["a": .string(blank)]])
        }
        #expect(seconds < 60)
    }
}
