/// Members of an object that are kept as they came, in their order.
public struct JSONMembers: Sendable, Hashable {
    private var values = NamedValues<JSONText>()

    public init() {}

    public var members: [(name: String, value: JSONText)] { values.members }
    public var isEmpty: Bool { members.isEmpty }

    public subscript(name: String) -> JSONText? {
        get { values[name] }
        set { values[name] = newValue }
    }

    /// Puts the members in the order of their names. O(n log n).
    public mutating func sort() { values.sort() }

    /// Equal where they would be written the same.
    public static func == (left: Self, right: Self) -> Bool {
        left.members.count == right.members.count
            && zip(left.members, right.members).allSatisfy {
                NameBytes($0.name) == NameBytes($1.name) && $0.value == $1.value
            }
    }

    public func hash(into hasher: inout Hasher) {
        for (name, value) in members {
            hasher.combine(NameBytes(name))
            hasher.combine(value)
        }
    }

    /// Reads the value behind `key` and keeps it; a member that is null counts as absent, a repeated one replaces.
    mutating func keep(_ key: JSONKey, _ reader: inout JSONReader) throws(JSONError) {
        guard try !reader.skipNull() else { return }
        let value = try reader.readText()
        // Nothing more is kept of a message that is refused in any case.
        try reader.checkMembers()
        values[try reader.string(key.scan)] = value
    }
}
