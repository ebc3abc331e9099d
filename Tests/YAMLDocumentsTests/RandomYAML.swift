import TestSupport

/// Documents of odd scalars, keys, anchors and styles: most of them can be read, some can't.
struct RandomYAML {
    private var random: SeededGenerator
    private var anchors: [String] = []
    private var mappings: [String] = []

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    /// A Service whose spec is anything.
    mutating func document() -> String {
        anchors = []
        mappings = []
        let head = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
        let text = head + (chance(4) ? "spec: \(flow(3))\n" : "spec:\(block(3, 2))")
        return chance(20) ? text.split(separator: "\n").joined(separator: "\r\n") + "\r\n" : text
    }

    // MARK: Values

    /// The text after `name:` or `-`, its line end included.
    private mutating func block(_ depth: Int, _ indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        switch depth == 0 ? 9 : pick(10) {
        case 0...3:
            let anchor = newAnchor()
            var lines = ""
            for _ in 0...pick(4) { lines += member(depth, indent, margin) }
            if let anchor { (anchors, mappings) = (anchors + [anchor], mappings + [anchor]) }
            return "\(anchor.map { " &\($0)" } ?? "")\(comment())\n" + lines
        case 4, 5:
            let anchor = newAnchor()
            var lines = ""
            for _ in 0...pick(3) { lines += "\(margin)-\(block(depth - 1, indent + 2))" }
            if let anchor { anchors.append(anchor) }
            return "\(anchor.map { " &\($0)" } ?? "")\n" + lines
        case 6: return " " + flow(depth - 1) + comment() + "\n"
        case 7: return " " + lines(margin)
        case 8 where !anchors.isEmpty: return " *\(one(anchors))\n"
        default: return " " + tagged(scalar()) + comment() + "\n"
        }
    }

    private mutating func member(_ depth: Int, _ indent: Int, _ margin: String) -> String {
        if chance(8), !mappings.isEmpty { return margin + "<<: \(merged())\n" }
        if chance(25) { return "\(margin)? \(scalar())\n\(margin):\(block(depth - 1, indent + 2))" }
        if chance(40), !anchors.isEmpty { return "\(margin)*\(one(anchors)) :\(block(depth - 1, indent + 2))" }
        return "\(margin)\(key()):\(block(depth - 1, indent + 2))"
    }

    private mutating func merged() -> String {
        switch pick(5) {
        case 0: "[*\(one(mappings)), *\(one(mappings))]"
        case 1: "[*\(one(mappings)), {\(key()): \(scalar())}]"
        case 2: "{\(key()): \(scalar()), <<: *\(one(mappings))}"
        default: "*\(one(mappings))"
        }
    }

    private mutating func flow(_ depth: Int) -> String {
        switch depth == 0 ? 9 : pick(10) {
        case 0...2:
            var members: [String] = []
            for _ in 0..<pick(4) {
                let isMerge = chance(8) && !mappings.isEmpty
                members.append(isMerge ? "<<: \(merged())" : "\(key()): \(flow(depth - 1))")
            }
            return "{\(members.joined(separator: chance(5) ? "," : ", "))}"
        case 3, 4:
            var elements: [String] = []
            for _ in 0..<pick(4) { elements.append(flow(depth - 1)) }
            return "[\(elements.joined(separator: chance(5) ? " ,\n    " : ", "))]"
        case 5 where !anchors.isEmpty: return "*\(one(anchors)) "
        default: return tagged(scalar())
        }
    }

    private mutating func newAnchor() -> String? { chance(4) ? "a\(pick(6))" : nil }

    private mutating func tagged(_ scalar: String) -> String {
        if chance(15) {
            let name = "a\(pick(6))"
            anchors.append(name)
            return "&\(name) \(scalar)"
        }
        return chance(15)
            ? "\(one(["!!str", "!!str", "!!int", "!!float", "!!bool", "!!null", "!own"])) \(scalar)" : scalar
    }

    private mutating func comment() -> String { chance(10) ? one([" # a: b", "  #", " ", "\t"]) : "" }

    // MARK: Scalars

    private mutating func key() -> String { chance(3) ? one(["a", "b", "c", "d e", "'f'"]) : scalar() }

    private mutating func scalar() -> String {
        switch pick(8) {
        case 0, 1: one(Self.words)
        case 2: characters(Self.numeric, 1...8)
        case 3:
            one(["", "+", "-"]) + one(["0", "0x", "0b", "0o", "1", ".", "00", "0X"]) + characters(Self.digits, 0...6)
        case 4: quoted()
        // Not with `!` in front: go-yaml takes a comma for a part of a tag.
        case 5: one(["", "a"]) + characters(Self.letters.filter { $0 != "!" }, 1...6)
        default: one(["a", "x-1", "true", "name", "10.96.0.1", "fd00::1", "12:30"])
        }
    }

    private mutating func quoted() -> String {
        if chance(2) {
            return "'\(characters(Self.any, 0...8).replacing("'", with: "''").replacing("\n", with: "\n   "))'"
        }
        var text = ""
        for _ in 0..<pick(6) {
            text += one([
                "a", " ", "\\n", "\\\"", "\\\\", "\\x41", "\\u00e9", "\\U0001F600", "\\t", "\\e", "\\\n   ", "é", "#",
                ": ",
            ])
        }
        return "\"\(text)\""
    }

    /// A block of lines.
    private mutating func lines(_ margin: String) -> String {
        var text = one(["|", "|-", "|+", ">", ">-", ">+"]) + "\n"
        for _ in 0...pick(4) {
            text += chance(4) ? "\n" : "\(margin)\(chance(5) ? "  " : "")\(characters(Self.letters, 1...8))\n"
        }
        return text
    }

    private static let words = [
        "y", "Y", "yes", "Yes", "YES", "yEs", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "true",
        "True", "TRUE", "tRUE", "false", "False", "FALSE", "null", "Null", "NULL", "nULL", "~", "", "010", "0o10",
        "0x1F",
        "0b11", "1_000", "1__0", "_1", "12:30", "1:30:15", "190:20:30.15", "08", "018", "1e3", "1E3", "1e", ".5", "5.",
        "1.50", "-0", "-0.0", "+1", "0b", "0x", "1e400", "99999999999999999999", "9223372036854775807",
        "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "2001-01-01",
        "2001-01-01T00:00:00Z", "2001-1-1 1:2:3", "=", "<<", "<<x", "nan", "inf", "1.0", "1.23456789", "123456789.5",
        "0.00001", "1e21", "1e20", "1e-7", "0777", "-017", "0x_1", "0b1_0", "-_1", "+.5", ".1_0", "._1", "0b-1",
        "-0b11",
        "+0b11", "0xfffffffffffffffff", "a:b", "http://a/b", "a#b", "-a", "a b", "''", "\"\"", "e1", "infinity",
        "12e03",
        "1.5e+3", "1.e3", "1.2.3", "1,000", "0.1e1", "00", "0_7", "1-2",
    ]
    private static let numeric = Array("0123456789._-+eExob:")
    private static let digits = Array("01234567_e.")
    private static let letters = Array("abyn01 .:-_/é😀=~,!&*'\"#")
    private static let any = Array("ab01 .:-_/é😀=~,!&*\"#{}[]|>%@`\n\\'?")

    // MARK: Chance

    private mutating func characters(_ set: [Character], _ count: ClosedRange<Int>) -> String {
        var text = ""
        for _ in 0..<(count.lowerBound + pick(count.count)) { text.append(set[pick(set.count)]) }
        return text
    }

    private mutating func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }
    private mutating func chance(_ count: Int) -> Bool { pick(count) == 0 }
    private mutating func one<Element>(_ elements: [Element]) -> Element { elements[pick(elements.count)] }
}
