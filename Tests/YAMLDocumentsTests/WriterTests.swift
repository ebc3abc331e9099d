import TandemAPI
import TestSupport
import Testing
import YAMLDocuments

@Suite("YAML that is written")
struct WriterTests {
    private static let words = [
        "", " ", "y", "Y", "n", "N", "yes", "No", "on", "OFF", "true", "False", "null", "~", "010", "0o10", "0x1F",
        "0b1",
        "1_000", "1e3", "1.5", ".5", "12:30", "1:2:3", "2001-01-01", "2001-01-01T00:00:00Z", "=", "<<", "- a", "-",
        "? a", ":",
        "a: b", "a:", "a #b", "#a", " a", "a ", "a\n", "a\n\n", "\na", " a\nb", "a\n b\n", "a\n\nb", "a \nb", "a\r\nb",
        "a\tb",
        "\ta", "---", "...", "--- a\n", "a\n---\nb\n", "%a", "@a", "`a", "&a", "*a", "!a", "|", ">", "'a'", "\"a\"",
        "\\", "{a", "[a",
        "a,b", "é", "😀", "\u{FEFF}a", "\u{0}", "\u{7F}", "\u{85}", "\u{2028}", "\u{FFFF}", "a'b", ".inf", ".nan", "-.5",
        "+1",
        "10.96.0.1", "fd00::1", "2001:10:20:30:40:50:1:2", "10.96.0.0/16", "nan", "inf", "a?", "a!b",
        "https://a/b?c=d#e",
        "a\u{202E}\nb", "\u{9B}2J", "\u{1B}[2J\n", "{\"a\":1}\n", "key: |\n  x\n",
        String(repeating: "long ", count: 300),
    ]

    /// As values, as names, and in one another.
    private static func values(_ seed: UInt64) -> [JSONValue] {
        var random = SeededGenerator(seed: seed)
        func text() -> String {
            guard Int.random(in: 0..<3, using: &random) == 0 else { return words.randomElement(using: &random) ?? "" }
            let characters = Array("ab01yn :#-.,'\"\\\n\t\r{}[]&*!|>%@`~=?<é😀\u{85}\u{2028}\u{FEFF}\u{1}_/+")
            return String(
                (0..<Int.random(in: 0..<9, using: &random)).map { _ in characters.randomElement(using: &random)! })
        }
        func value(_ depth: Int) -> JSONValue {
            switch depth == 0 ? 9 : Int.random(in: 0..<10, using: &random) {
            case 0...2:
                var object = JSONObject()
                for _ in 0..<Int.random(in: 0..<4, using: &random) { object[text()] = value(depth - 1) }
                return .object(object)
            case 3, 4: return .array((0..<Int.random(in: 0..<4, using: &random)).map { _ in value(depth - 1) })
            case 5:
                return [.null, true, false, 0, -1, .number("1.5"), .number("1e+21")].randomElement(using: &random) ?? 0
            default: return .string(text())
            }
        }
        return words.map { .string($0) } + words.map { [$0: [.string($0), [:], [[]], [$0: []]]] }
            + (0..<500).map { _ in value(4) }
    }

    @Test("is read as the same values", arguments: seeds)
    func readsBack(_ seed: UInt64) throws {
        for value in Self.values(seed) {
            let text = YAMLDocuments.write(["x": value])
            #expect(try YAMLDocuments.read(text) == [["x": value]], "\(text)")
        }
        let whole: JSONValue = .array(Self.values(seed))
        #expect(try YAMLDocuments.read(YAMLDocuments.write(whole)) == [whole])
    }

    @Test("has nothing in it that acts on a terminal", arguments: seeds)
    func isVisible(_ seed: UInt64) {
        for value in Self.values(seed) {
            let text = YAMLDocuments.write(["x": value])
            #expect(!text.unicodeScalars.contains { $0 != "\n" && $0.isHidden }, "\(text)")
        }
    }

    @Test("is read as the same values by kubectl", .enabled(if: Kubectl.isThere, Kubectl.absence), arguments: seeds)
    func isReadByKubectl(_ seed: UInt64) throws {
        let values = Self.values(seed)
        let documents = values.map { value in
            YAMLDocuments.write(["apiVersion": "v1", "kind": "Service", "metadata": ["name": "a"], "spec": value])
        }
        for (index, spec) in try Kubectl().specs(documents).enumerated() {
            #expect(spec?.normalised == values[index].normalised, "seed \(seed)\n\(documents[index])")
        }
    }

    @Test("looks as kubectl's: plain where it may be, in blocks, several lines as such, names in order")
    func looksAsKubectl() {
        let object: JSONValue = [
            "spec": [
                "clusterIPs": ["10.96.0.1", "fd00::1"], "ports": [["port": 80, "name": "http"]], "none": [:],
                "text": "a\n  b\n",
                "nested": [["a"], []],
            ],
            "kind": "Service", "flag": true, "word": "y", "010": "12:30", "created": "2001-01-01T00:00:00Z",
        ]
        #expect(
            YAMLDocuments.write(object) == """
                "010": "12:30"
                created: "2001-01-01T00:00:00Z"
                flag: true
                kind: Service
                spec:
                  clusterIPs:
                  - 10.96.0.1
                  - fd00::1
                  nested:
                  - - a
                  - []
                  none: {}
                  ports:
                  - name: http
                    port: 80
                  text: |
                    a
                      b
                word: "y"

                """)
    }
}
