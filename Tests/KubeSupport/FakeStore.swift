import Foundation
import TandemAPI

/// The objects of a fake API server, as kube-apiserver keeps them: versions, finalizers, immutable members. Not thread-safe.
struct FakeStore {
    struct Key: Hashable, Comparable {
        var plural: String
        var namespace: String
        var name: String

        static func < (left: Key, right: Key) -> Bool {
            (left.namespace, left.name) < (right.namespace, right.name)
        }
    }

    struct Change {
        var version: Int
        var key: Key
        var old: JSONValue?
        /// nil where it is gone.
        var new: JSONValue?
        /// As it was last, under the version of its end.
        var last: JSONValue
    }

    private(set) var objects: [Key: JSONValue] = [:]
    private(set) var version = 100
    private(set) var changes: [Change] = []
    /// Changes up to here are no longer known.
    private(set) var compacted = 0
    /// Pages of lists as they were when the first one was asked for.
    private var snapshots: [Int: [JSONValue]] = [:]
    private var random = 0
    let rules: FakeRules

    init(_ rules: FakeRules) { self.rules = rules }

    static func key(_ target: FakeRequest.Target, _ name: String) -> Key {
        Key(plural: target.plural, namespace: target.namespace ?? "", name: name)
    }

    mutating func compact() {
        (compacted, changes, snapshots) = (version, [], [:])
    }

    /// As etcd that was restored from a copy: versions go on from an older one.
    mutating func rewind(to version: Int) { (self.version, changes, compacted) = (version, [], 0) }

    // MARK: Reading

    mutating func list(_ target: FakeRequest.Target, _ request: FakeRequest) -> FakeAnswer {
        let query = request.query
        if let wanted = query["resourceVersion"].flatMap(Int.init), wanted > version {
            return .refusal(504, "Timeout", "Too large resource version: \(wanted), current: \(version)", retryAfter: 1)
        }
        let limit = query["limit"].flatMap(Int.init) ?? .max
        var (at, offset) = (version, 0)
        if let token = query["continue"] {
            let parts = token.split(separator: ".").compactMap { Int($0) }
            guard parts.count == 2, snapshots[parts[0]] != nil else {
                return .refusal(410, "Expired", "The provided continue parameter is too old")
            }
            (at, offset) = (parts[0], parts[1])
        } else {
            let found = objects.filter {
                $0.key.plural == target.plural && (target.namespace == nil || target.namespace == $0.key.namespace)
                    && FakeSelector.matches($0.value, query["fieldSelector"])
            }
            snapshots[version] = found.sorted { $0.key < $1.key }.map(\.value)
        }
        let all = snapshots[at] ?? []
        let page = all[min(offset, all.count)..<min(all.count, offset + min(limit, all.count))]
        var metadata: JSONValue = ["resourceVersion": .string(String(at))]
        if page.endIndex < all.count { metadata["continue"] = .string("\(at).\(page.endIndex)") }
        let isPartial = request.accept.contains("as=PartialObjectMetadataList")
        let items = isPartial ? page.map(Self.partial) : Array(page)
        return .object([
            "kind": .string(isPartial ? "PartialObjectMetadataList" : "List"), "apiVersion": "v1", "metadata": metadata,
            "items": .array(items),
        ])
    }

    static func partial(_ object: JSONValue) -> JSONValue {
        ["kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] ?? [:]]
    }

    static func notFound(_ key: Key) -> FakeAnswer {
        .refusal(404, "NotFound", "\(key.plural) \"\(key.name)\" not found")
    }

    // MARK: Writing

    mutating func create(_ target: FakeRequest.Target, _ body: JSONValue) -> FakeAnswer {
        var object = body
        var metadata = object["metadata"] ?? [:]
        random += 1
        let name =
            metadata["name"]?.stringValue ?? (metadata["generateName"]?.stringValue).map { $0 + "x\(random)" } ?? ""
        let namespace = target.namespace ?? metadata["namespace"]?.stringValue
        let key = Key(plural: target.plural, namespace: namespace ?? "", name: name)
        guard !name.isEmpty else { return .refusal(422, "Invalid", "metadata.name: Required value") }
        guard objects[key] == nil else {
            return .refusal(409, "AlreadyExists", "\(key.plural) \"\(name)\" already exists")
        }
        metadata["name"] = .string(name)
        if let namespace { metadata["namespace"] = .string(namespace) }
        if metadata["uid"] == nil { metadata["uid"] = .string(UUID().uuidString.lowercased()) }
        if metadata["creationTimestamp"] == nil { metadata["creationTimestamp"] = "2026-01-01T00:00:00Z" }
        object["metadata"] = metadata
        if let refusal = rules.check(key, nil, &object) { return refusal }
        return .object(store(key, object), created: true)
    }

    mutating func replace(_ key: Key, _ body: JSONValue, part: String?) -> FakeAnswer {
        guard let old = objects[key] else { return Self.notFound(key) }
        return update(key, old, part == "status" ? old.with("status", body["status"]) : body, wish: body, part)
    }

    mutating func patch(_ key: Key, _ patch: JSONValue, part: String?) -> FakeAnswer {
        guard let old = objects[key] else { return Self.notFound(key) }
        return update(key, old, old.merging(patch), wish: patch, part)
    }

    /// `wish` has the uid and the version that are asked for.
    private mutating func update(
        _ key: Key, _ old: JSONValue, _ new: JSONValue, wish: JSONValue, _ part: String?
    ) -> FakeAnswer {
        let (oldMetadata, wished) = (old["metadata"] ?? [:], wish["metadata"])
        if let uid = wished?["uid"], uid != oldMetadata["uid"] {
            return .refusal(
                422, "Invalid", "\(key.plural) \"\(key.name)\" is invalid: metadata.uid: field is immutable")
        }
        if let version = wished?["resourceVersion"], version != oldMetadata["resourceVersion"] {
            return .refusal(
                409, "Conflict",
                "Operation cannot be fulfilled on \(key.plural) \"\(key.name)\": the object has been modified")
        }
        var object = new
        // Each part is changed by itself; of the metadata a status may change finalizers and the like as well.
        if rules.hasStatus(key.plural) {
            if part == "status" {
                object = old.with("status", new["status"]).with("metadata", new["metadata"])
            } else {
                object = new.with("status", old["status"])
            }
        }
        for member in ["uid", "resourceVersion", "name", "namespace", "creationTimestamp", "deletionTimestamp"] {
            object["metadata"]?[member] = oldMetadata[member]
        }
        if let refusal = rules.check(key, old, &object) { return refusal }
        if object == old { return .object(old) }
        let finalizers = object["metadata"]?["finalizers"]?.arrayValue ?? []
        if oldMetadata["deletionTimestamp"] != nil, finalizers.isEmpty { return .object(end(key, object)) }
        return .object(store(key, object))
    }

    mutating func delete(_ key: Key) -> FakeAnswer {
        guard var object = objects[key] else { return Self.notFound(key) }
        guard object["metadata"]?["finalizers"]?.arrayValue?.isEmpty == false else { return .object(end(key, object)) }
        guard object["metadata"]?["deletionTimestamp"] == nil else { return .object(object) }
        object["metadata"]?["deletionTimestamp"] = "2026-01-02T00:00:00Z"
        return .object(store(key, object))
    }

    /// Puts it there whatever the rules say, with a uid and a version.
    mutating func put(_ plural: String, _ object: JSONValue) -> JSONValue {
        var object = object
        if object["metadata"]?["uid"] == nil {
            object["metadata"]?["uid"] = .string(UUID().uuidString.lowercased())
        }
        let metadata = object["metadata"]
        let key = Key(
            plural: plural, namespace: metadata?["namespace"]?.stringValue ?? "",
            name: metadata?["name"]?.stringValue ?? "")
        return store(key, object)
    }

    private mutating func store(_ key: Key, _ object: JSONValue) -> JSONValue { change(key, object, isKept: true) }

    /// Without finalizers nothing holds it.
    private mutating func end(_ key: Key, _ object: JSONValue) -> JSONValue { change(key, object, isKept: false) }

    private mutating func change(_ key: Key, _ object: JSONValue, isKept: Bool) -> JSONValue {
        version += 1
        var last = object
        last["metadata"]?["resourceVersion"] = .string(String(version))
        let new = isKept ? last : nil
        changes.append(Change(version: version, key: key, old: objects[key], new: new, last: last))
        objects[key] = new
        return last
    }

    mutating func remove(_ plural: String, _ namespace: String?, _ name: String) {
        let key = Key(plural: plural, namespace: namespace ?? "", name: name)
        if let object = objects[key] { _ = end(key, object) }
    }
}

extension JSONValue {
    func with(_ name: String, _ value: JSONValue?) -> JSONValue {
        var copy = self
        copy[name] = value
        return copy
    }
}

/// `status.phase!=Failed,spec.nodeName=n1`: the few fields that a server knows.
enum FakeSelector {
    static func matches(_ object: JSONValue, _ text: String?) -> Bool {
        for term in (text ?? "").split(separator: ",") {
            let isNegative = term.contains("!=")
            let parts = term.replacingOccurrences(of: "!=", with: "=").split(
                separator: "=", omittingEmptySubsequences: true)
            guard let path = parts.first else { continue }
            var value: JSONValue? = object
            for name in path.split(separator: ".") { value = value?[String(name)] }
            let isEqual = (value?.stringValue ?? "") == (parts.count > 1 ? String(parts[1]) : "")
            if isEqual == isNegative { return false }
        }
        return true
    }
}
