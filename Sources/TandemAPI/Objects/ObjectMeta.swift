/// The members of an object's `metadata` that address management reads; the rest is kept and returned unchanged.
public struct ObjectMeta: Sendable, Hashable {
    /// Empty where the object names none: the caller fills in `default` for the kinds that lie in a namespace.
    public var namespace = ""
    public var name = ""
    public var uid: Written<ObjectUID>?
    /// A decimal that grows with every change of the object.
    public var resourceVersion: String?
    /// RFC 3339 in UTC, to the second.
    public var creationTimestamp: Written<CreationTime>?
    /// Labels, annotations and whatever else came along.
    public var others = JSONMembers()

    public init(namespace: String = "", name: String = "", uid: Written<ObjectUID>? = nil) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
    }

    public init(from reader: inout JSONReader) throws(JSONError) {
        try read(from: &reader)
    }

    /// Into a value that is empty yet: where it lies, without a copy.
    mutating func read(from reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "namespace": namespace = try reader.readStringOrNull() ?? ""
            case "name": name = try reader.readStringOrNull() ?? ""
            case "uid": uid = try reader.readNonEmptyWritten()
            case "resourceVersion": resourceVersion = try reader.readNonEmptyString()
            case "creationTimestamp": creationTimestamp = try reader.readNonEmptyWritten()
            default: try others.keep(key, &reader)
            }
        }
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        if !namespace.isEmpty {
            writer.key("namespace")
            writer.string(namespace)
        }
        writer.key("name")
        writer.string(name)
        if let uid {
            writer.key("uid")
            writer.written(uid)
        }
        if let resourceVersion {
            writer.key("resourceVersion")
            writer.string(resourceVersion)
        }
        if let creationTimestamp {
            writer.key("creationTimestamp")
            writer.written(creationTimestamp)
        }
        writer.members(others)
        writer.endObject()
    }
}

extension JSONReader {
    public mutating func readStringOrNull() throws(JSONError) -> String? {
        try skipNull() ? nil : try readString()
    }

    /// A string; null and `""` count as absent.
    public mutating func readNonEmptyString() throws(JSONError) -> String? {
        guard let value = try readStringOrNull(), !value.isEmpty else { return nil }
        return value
    }

    /// An array of strings; null counts as absent.
    public mutating func readStrings() throws(JSONError) -> [String]? {
        guard try !skipNull() else { return nil }
        var values: [String] = []
        try beginArray()
        var count = 0
        while try nextElement(&count) { values.append(try readString()) }
        return values
    }

    /// A Kubernetes object's `kind` or `apiVersion`, which must be the one expected where it is given.
    mutating func expectWord(_ expected: String, for member: String) throws(JSONError) {
        _ = try peek()
        let start = position
        guard let found = try readNonEmptyString(), found != expected else { return }
        throw JSONError(.type, at: start, "expected \(member) \"\(expected)\", found \"\(found)\"")
    }
}
