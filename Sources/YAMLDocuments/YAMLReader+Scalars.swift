import TandemAPI
import Yams

extension YAMLReader {
    /// A longer scalar is a string, whatever it looks like: no number or word is so long.
    private static let longestWordBytes = 128

    /// A plain scalar is the value that it looks like. A tag of YAML's own, such as `!!int`, must agree with the looks; other
    /// tags, as `!!str`, make a string of a scalar.
    func scalar(_ scalar: YAMLEvents.Scalar) throws(YAMLFault) -> JSONValue {
        let text = scalar.text
        guard let tag = scalar.tag.map(Tag.Name.init(rawValue:)) else {
            return scalar.isPlain ? try value(text, kind(text)) : .string(text)
        }
        switch tag {
        case .null, .bool, .int, .float:
            let kind = kind(text)
            guard kind == tag || kind == .int && tag == .float else {
                throw fault("\(text.cut(toBytes: 64)) is no \(tag.rawValue.cut(toBytes: 64))")
            }
            return try value(text, kind)
        case .binary: throw fault("binary data is not read: \(tag.rawValue)")
        default: return .string(text)
        }
    }

    /// The tag that a plain scalar is read with where it carries none.
    private func kind(_ text: String) -> Tag.Name {
        // With a colon it is a time or an address, though YAML 1.1 has numbers of base 60.
        guard text.utf8.count <= Self.longestWordBytes, !text.utf8.contains(UInt8(ascii: ":")) else { return .str }
        return Resolver.default.resolveTag(of: Node(text))
    }

    private func value(_ text: String, _ kind: Tag.Name) throws(YAMLFault) -> JSONValue {
        let node = Node(text, Tag(kind), .plain)
        switch kind {
        case .null: return .null
        case .bool: return .bool(node.bool ?? false)
        case .int, .float:
            // As it stands, if JSON writes it so too.
            if (try? JSONValue(parsing: text)) != nil { return .number(text) }
            if kind == .int, let value = node.int { return .number(String(value)) }
            if kind == .float, let value = node.float, value.isFinite { return .number("\(value)") }
            throw fault("JSON has no number like \(text)")
        default: return .string(text)
        }
    }
}
