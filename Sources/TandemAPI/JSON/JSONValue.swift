/// A JSON value as a tree, for code that is off the hot path: merging, printing, tests.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// As it was written: no precision is lost.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Parses one whole text. O(length).
    public init(parsing text: some Sequence<UInt8>) throws(JSONError) {
        self = try JSONReader.read(Array(text)) { reader throws(JSONError) in try reader.readValue() }
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
    public private(set) var members: [(name: String, value: JSONValue)] = []

    public init() {}

    /// Of two members with one name the later one counts, as in every common reader.
    public subscript(name: String) -> JSONValue? {
        get { members.first { $0.name == name }?.value }
        set {
            let index = members.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append((name, value))
            case (nil, nil): break
            }
        }
    }

    /// Equal as JSON objects are: whatever the order.
    public static func == (left: Self, right: Self) -> Bool {
        left.members.count == right.members.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }

    public func hash(into hasher: inout Hasher) {
        for name in members.map(\.name).sorted() { hasher.combine(name) }
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
            var isFirst = true
            while try nextElement(&isFirst) { elements.append(try readValue()) }
            return .array(elements)
        case .object:
            var object = JSONObject()
            try beginObject()
            var isFirst = true
            while let key = try nextKey(&isFirst) { object[key.string] = try readValue() }
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
                key(name)
                self.value(value)
            }
            endObject()
        }
    }
}
