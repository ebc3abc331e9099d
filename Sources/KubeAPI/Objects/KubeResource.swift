/// A kind of objects as paths have it.
public struct KubeResource: Sendable, Hashable {
    /// Empty for the core group.
    public let group: String
    public let version: String
    /// As in `nodes`.
    public let plural: String

    public init(group: String = "", version: String = "v1", plural: String) {
        self.group = group
        self.version = version
        self.plural = plural
    }

    public static let nodes = KubeResource(plural: "nodes")
    public static let services = KubeResource(plural: "services")
    public static let pods = KubeResource(plural: "pods")
    public static let events = KubeResource(plural: "events")
    public static let leases = KubeResource(group: "coordination.k8s.io", plural: "leases")

    /// As manifests have it.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    func path(_ namespace: String?) -> String {
        let root = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        return root + (namespace.map { "/namespaces/\($0.percentEncoded)" } ?? "") + "/" + plural
    }
}

/// Objects of one kind: those of one namespace, or all.
public struct KubeCollection: Sendable, Hashable, CustomStringConvertible {
    public var resource: KubeResource
    /// nil for all namespaces, and for kinds without one.
    public var namespace: String?
    /// As `status.phase!=Failed`; the server knows few fields.
    public var fieldSelector: String?
    /// Only names, labels, annotations and the like are sent: a tenth of the bytes.
    public var metadataOnly: Bool

    public init(
        _ resource: KubeResource, namespace: String? = nil, fieldSelector: String? = nil, metadataOnly: Bool = false
    ) {
        self.resource = resource
        self.namespace = namespace
        self.fieldSelector = fieldSelector
        self.metadataOnly = metadataOnly
    }

    public static let nodes = KubeCollection(.nodes)
    public static let services = KubeCollection(.services)
    /// The metadata of pods that have neither failed nor succeeded; one that does is told as deleted. Whether a pod has the
    /// host's network can't be seen.
    public static let livingPods = KubeCollection(
        .pods, fieldSelector: "status.phase!=Succeeded,status.phase!=Failed", metadataOnly: true)

    public var description: String { namespace.map { "\(resource.plural) of \($0)" } ?? resource.plural }

    func path(_ query: [(String, String)] = []) -> String {
        let all = (fieldSelector.map { [("fieldSelector", $0)] } ?? []) + query
        let text = all.map { "\($0)=\($1.percentEncoded)" }.joined(separator: "&")
        return resource.path(namespace) + (text.isEmpty ? "" : "?" + text)
    }
}

/// One object's name in full.
public struct KubeObjectName: Sendable, Hashable, CustomStringConvertible {
    public var resource: KubeResource
    public var namespace: String?
    public var name: String

    public init(_ resource: KubeResource, namespace: String? = nil, _ name: String) {
        self.resource = resource
        self.namespace = namespace
        self.name = name
    }

    public static func node(_ name: String) -> Self { Self(.nodes, name) }
    public static func service(_ namespace: String, _ name: String) -> Self {
        Self(.services, namespace: namespace, name)
    }
    public static func pod(_ namespace: String, _ name: String) -> Self { Self(.pods, namespace: namespace, name) }
    public static func lease(_ namespace: String, _ name: String) -> Self { Self(.leases, namespace: namespace, name) }

    public var description: String { (namespace.map { "\($0)/" } ?? "") + name }

    func path(_ part: KubePart = .main) -> String {
        resource.path(namespace) + "/" + name.percentEncoded + (part == .status ? "/status" : "")
    }
}

/// Which part of an object a patch is for: a change of the other one is passed over.
public enum KubePart: Sendable {
    case main, status
}

extension String {
    /// As a segment of a path, or a value in a query.
    var percentEncoded: String {
        var text = ""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                text += byte < 16 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return text
    }
}
