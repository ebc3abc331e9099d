/// Colons that end a plain scalar within brackets or braces, as in `[fd00::]` and `{ip: fd00::}`: libyaml refuses them, `kubectl` reads them. Before
/// they reach libyaml a character that the text does not have stands for each of them; in a scalar it is a colon again.
struct FlowColons {
    /// The text with stand-ins. Its lines are the same.
    let bytes: [UInt8]
    /// The UTF-8 of the character that stands for a colon; empty where none does.
    private let standIn: [UInt8]

    /// O(length).
    init(_ text: [UInt8]) {
        let places = Self.places(in: text)
        guard !places.isEmpty, let standIn = Self.unused(in: text) else {
            (bytes, self.standIn) = (text, [])
            return
        }
        self.standIn = standIn
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count + standIn.count * places.count)
        var start = 0
        for place in places {
            bytes += text[start..<place]
            bytes += standIn
            start = place + 1
        }
        bytes += text[start...]
        self.bytes = bytes
    }

    /// A scalar as the text has it. O(length).
    func restored(_ scalar: String) -> String {
        guard let first = standIn.first, scalar.utf8.contains(first) else { return scalar }
        var rest = Array(scalar.utf8)[...]
        var restored: [UInt8] = []
        while let byte = rest.first {
            let isStandIn = rest.starts(with: standIn)
            restored.append(isStandIn ? UInt8(ascii: ":") : byte)
            rest = rest.dropFirst(isStandIn ? standIn.count : 1)
        }
        return String(decoding: restored, as: UTF8.self)
    }

    /// Colons before `,`, `]` or `}` that are not the first byte of a possible plain scalar. Among them are some in quotes, comments and
    /// blocks of lines, where a stand-in changes nothing. Each byte is looked at twice at most.
    private static func places(in text: [UInt8]) -> [Int] {
        var places: [Int] = []
        // Where a possible scalar begins.
        var start: Int?
        for index in text.indices {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"),
                UInt8(ascii: "\n"):
                start = nil
            case UInt8(ascii: " "), UInt8(ascii: "\t"): break
            case UInt8(ascii: ":"):
                let next = index + 1 < text.count ? text[index + 1] : UInt8(ascii: "\n")
                switch next {
                case UInt8(ascii: " "), UInt8(ascii: "\t"): start = nil
                case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"):
                    if let start, isPlain(text[start]) { places.append(index) }
                default: start = start ?? index
                }
            default: start = start ?? index
            }
        }
        return places
    }

    /// Whether a plain scalar may begin so, and not a quoted one, an anchor, an alias or a tag.
    private static func isPlain(_ first: UInt8) -> Bool {
        switch first {
        case UInt8(ascii: ":"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "&"), UInt8(ascii: "*"),
            UInt8(ascii: "!"),
            UInt8(ascii: "?"), UInt8(ascii: "%"), UInt8(ascii: "@"), UInt8(ascii: "`"), UInt8(ascii: "|"),
            UInt8(ascii: ">"),
            UInt8(ascii: "#"):
            false
        default: true
        }
    }

    /// A character for private use, U+E000 to U+E03F, that the text does not have; nil where it has all of them.
    private static func unused(in text: [UInt8]) -> [UInt8]? {
        let start: [UInt8] = [0xEE, 0x80]
        var isUsed = [Bool](repeating: false, count: 64)
        for index in text.indices.dropLast(2) where text[index] == start[0] && text[index + 1] == start[1] {
            isUsed[Int(text[index + 2] & 63)] = true
        }
        return isUsed.firstIndex(of: false).map { start + [0x80 | UInt8($0)] }
    }
}
