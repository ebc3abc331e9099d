public import TandemAPI

/// Something that is said of an object, for `kubectl describe` to show.
public struct KubeEvent: Sendable, Hashable {
    public enum Severity: String, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// Whom it is about: `kind`, `apiVersion`, `name`, `uid`, and `namespace` where it has one.
    public let involvedObject: JSONValue
    public let severity: Severity
    /// In UpperCamelCase; at most 128 bytes.
    public let reason: String
    /// At most 1,024 bytes; a longer text is cut.
    public let message: String
    /// The reporting component.
    public let component: String

    /// Of an object as the server sent it.
    public init(
        about object: JSONValue, kind: String, apiVersion: String = "v1", _ severity: Severity, reason: String,
        _ message: String, component: String = "tandem-controller"
    ) {
        let metadata = object["metadata"] ?? [:]
        var involved: JSONValue = ["kind": .string(kind), "apiVersion": .string(apiVersion)]
        for member in ["namespace", "name", "uid", "resourceVersion"] { involved[member] = metadata[member] }
        involvedObject = involved
        self.severity = severity
        self.reason = reason
        self.message = message
        self.component = component
    }

    private static let maximumMessageBytes = 1_024

    /// Events of objects without a namespace are in `default`.
    var namespace: String { involvedObject["namespace"]?.stringValue ?? "default" }

    /// The object to create; `now` to the second.
    func object(now: String) -> JSONValue {
        // The server puts five letters behind it; a name may have 253 bytes.
        let name = (involvedObject["name"]?.stringValue ?? "tandem").prefix(200)
        return [
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["generateName": .string("\(name)."), "namespace": .string(namespace)],
            "involvedObject": involvedObject, "type": .string(severity.rawValue), "reason": .string(reason),
            "message": .string(String(decoding: message.utf8.prefix(Self.maximumMessageBytes), as: UTF8.self)),
            "source": ["component": .string(component)], "firstTimestamp": .string(now), "lastTimestamp": .string(now),
            "count": 1,
        ]
    }
}

extension KubeClient {
    /// Says it; that the same is not said again and again is for the caller to see to.
    public func report(_ event: KubeEvent) async throws(KubeError) {
        try await create(
            event.object(now: KubeTime.seconds()), in: KubeCollection(.events, namespace: event.namespace))
    }
}
