import Foundation
import TandemAPI

/// The value of a scalar.
enum YAMLScalar {
    case null
    case bool(Bool)
    case int(Int64)
    /// Greater than any `Int64`.
    case uint(UInt64)
    case float(Double)
    case string(String)

    /// nil for numbers that JSON lacks.
    var value: JSONValue? {
        switch self {
        case .null: .null
        case .bool(let flag): .bool(flag)
        case .int(let number): .number(String(number))
        // As kubectl goes on with it: it keeps integers of 63 bits alone.
        case .uint(let number): .number(Decimal(Double(number)).json)
        // So that a negative zero is 0.
        case .float(let number): number.isFinite ? .number(Decimal(number + 0).json) : nil
        case .string(let text): .string(text)
        }
    }

    /// The name of a member; nil for scalars that can't be one.
    var key: String? {
        switch self {
        case .null, .uint: nil
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .float(let number) where number.isNaN: ".nan"
        // Of single precision: so does sigs.k8s.io/yaml.
        case .float(let number):
            Float(number).isFinite ? Decimal(Float(number)).key : number < 0 ? "-.inf" : ".inf"
        case .string(let text): text
        }
    }
}

extension YAMLEvents.Scalar {
    /// As a key: merges the mappings of its value.
    var isMerge: Bool {
        // Byte by byte: to compare strings takes the square of the combining marks that they have in a row.
        text.utf8.elementsEqual("<<".utf8) && (tag.map { $0 == YAMLTag.merge } ?? isPlain)
    }
}

enum YAMLTag {
    private static let prefix = "tag:yaml.org,2002:"
    static let merge = prefix + "merge"
    static let null = prefix + "null"
    static let bool = prefix + "bool"
    static let int = prefix + "int"
    static let float = prefix + "float"
    static let binary = prefix + "binary"
}

extension YAMLReader {
    /// A plain scalar is the value that it looks like. A tag of YAML's own, such as `!!int`, must agree with the looks; other
    /// tags, as `!!str`, make a string of a scalar.
    func resolved(_ scalar: YAMLEvents.Scalar) throws(YAMLFault) -> YAMLScalar {
        let text = scalar.text
        guard let tag = scalar.tag else { return scalar.isPlain ? YAMLScalar(plain: text) : .string(text) }
        let looks = YAMLScalar(plain: text)
        switch (tag, looks) {
        case (YAMLTag.null, .null), (YAMLTag.bool, .bool), (YAMLTag.int, .int), (YAMLTag.int, .uint),
            (YAMLTag.float, .float):
            return looks
        case (YAMLTag.float, .int(let number)): return .float(Double(number))
        case (YAMLTag.null, _), (YAMLTag.bool, _), (YAMLTag.int, _), (YAMLTag.float, _):
            throw fault("\(text.cut(toBytes: 64)) is no \(tag)")
        case (YAMLTag.binary, _):
            let characters = String(decoding: text.utf8.filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            guard let data = Data(base64Encoded: characters) else {
                throw fault("no base64: \(text.cut(toBytes: 64))")
            }
            return .string(String(decoding: PlainText.repaired(Array(data)), as: UTF8.self))
        default: return .string(text)
        }
    }
}
