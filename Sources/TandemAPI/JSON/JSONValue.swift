/// A JSON value as a tree, for code that is off the hot path: merging, printing, tests.
public enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// As it was written: no precision is lost.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Parses one whole text, however many members its objects have. O(length).
    public init(parsing text: some Sequence<UInt8>) throws(JSONError) {
        self = try JSONReader.read(Array(text), isLimited: false) { reader throws(JSONError) in
            try reader.readValue()
        }
    }

    public init(parsing text: String) throws(JSONError) {
        try self.init(parsing: text.utf8)
    }

    public var text: JSONText {
        var writer = JSONWriter()
        writer.value(self)
        return JSONText(unchecked: writer.bytes)
    }

    /// A member of an object; nil where there is none or this is no object. Setting nil removes.
    public subscript(name: String) -> JSONValue? {
        get { if case .object(let object) = self { object[name] } else { nil } }
        set {
            guard case .object(var object) = self else { return }
            self = .null  // leaves one owner, so that the change is made in place
            object[name] = newValue
            self = .object(object)
        }
    }

    public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    public var arrayValue: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var objectValue: JSONObject? { if case .object(let value) = self { value } else { nil } }
    public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var intValue: Int? { if case .number(let value) = self { Int(value) } else { nil } }
}

/// The members of an object in the order in which they were written; names are unique.
public struct JSONObject: Sendable, Hashable {
    private var values = NamedValues<JSONValue>()

    public init() {}

    public var members: [(name: String, value: JSONValue)] { values.members }

    /// Of two members with one name the later one counts, as in every common reader. To set nil removes, in O(count).
    public subscript(name: String) -> JSONValue? {
        get { values[name] }
        set { values[name] = newValue }
    }

    /// Equal as JSON objects are: whatever the order.
    public static func == (left: Self, right: Self) -> Bool {
        left.members.count == right.members.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }

    public func hash(into hasher: inout Hasher) {
        // A sum, as the order does not count.
        var sum = 0
        for (name, _) in members { sum &+= NameBytes(name).hashValue }
        hasher.combine(sum)
    }
}

extension JSONValue: Hashable {
    /// Strings are compared byte by byte.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): NameBytes(left) == NameBytes(right)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .number(let digits): hasher.combine(digits)
        case .string(let text): hasher.combine(NameBytes(text))
        case .array(let elements): hasher.combine(elements)
        case .object(let object): hasher.combine(object)
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .number(String(value)) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (name, value) in elements { object[name] = value }
        self = .object(object)
    }
}

extension JSONReader {
    public mutating func readValue() throws(JSONError) -> JSONValue {
        switch try peek() {
        case .null:
            try skipValue()
            return .null
        case .bool: return .bool(try readBool())
        case .string: return .string(try readString())
        case .number:
            let start = position
            try scanNumber()
            return .number(String(decoding: text[start..<position], as: UTF8.self))
        case .array:
            var elements: [JSONValue] = []
            try beginArray()
            var count = 0
            while try nextElement(&count) { elements.append(try readValue()) }
            return .array(elements)
        case .object:
            var object = JSONObject()
            try beginObject()
            var count = 0
            while let key = try nextKey(&count) { object[key.string] = try readValue() }
            return .object(object)
        }
    }
}

extension JSONWriter {
    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let value): bool(value)
        case .number(let digits): text(Array(digits.utf8))
        case .string(let value): string(value)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let object):
            beginObject()
            for (name, value) in object.members {
                key(text: name)
                self.value(value)
            }
            endObject()
        }
    }
}
