import TandemAPI
import Yams

extension YAMLReader {
    /// A longer text is a text, whatever it looks like: no number or word is so long.
    private static let longestWordBytes = 128

    /// What a scalar is by its tag, or, where it stands there plain, by what it looks like.
    func scalar(_ scalar: YAMLEvents.Scalar) throws(YAMLFault) -> JSONValue {
        let text = scalar.text
        guard scalar.isPlain || scalar.tag != nil, text.utf8.count <= Self.longestWordBytes else {
            return .string(text)
        }
        let tag = scalar.tag.map { Tag.Name(rawValue: $0) } ?? .implicit
        let node = Yams.Node(text, Tag(tag), .plain)
        switch node.tag {
        case Tag(.null): return .null
        case Tag(.bool): return .bool(node.bool ?? false)
        case Tag(.int), Tag(.float):
            // As it stands, if JSON writes it so too.
            if (try? JSONValue(parsing: text)) != nil { return .number(text) }
            if node.tag == Tag(.int), let value = node.int { return .number(String(value)) }
            if node.tag == Tag(.float), let value = node.float, value.isFinite { return .number("\(value)") }
            throw fault("JSON has no number like \(text)")
        default: return .string(text)
        }
    }
}
