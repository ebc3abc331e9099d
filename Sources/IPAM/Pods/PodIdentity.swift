import TandemAPI

/// The identity of an allocation among those of its node: the attachment where given, else
/// namespace, name, uid.
struct PodIdentity: Sendable, Hashable {
    /// The container, or the pod: the origin that `Release` names when it names no interface.
    let origin: String
    let ifName: String

    init(origin: String, ifName: String) {
        self.origin = origin
        self.ifName = ifName
    }

    init(_ attachment: Attachment) {
        origin = Self.origin(containerID: attachment.containerID)
        ifName = attachment.ifName
    }

    /// `uid` as the request gave it; empty where it gave none.
    init(namespace: String, name: String, uid: String) {
        origin = "pod/\(namespace)/\(name)/\(uid)"
        ifName = Attachment.defaultInterface
    }

    /// An interface's name has no slash in it.
    init?(key: String) {
        guard let slash = key.lastIndex(of: "/") else { return nil }
        origin = String(key[..<slash])
        ifName = String(key[key.index(after: slash)...])
    }

    var key: String { "\(origin)/\(ifName)" }

    static func origin(containerID: String) -> String { "container/\(containerID)" }

    /// It is a container's interface's.
    var isAttached: Bool { origin.hasPrefix(Self.containers) }

    var containerID: String? { isAttached ? String(origin.dropFirst(Self.containers.count)) : nil }

    private static let containers = "container/"
}

/// The names of pods' turns: of a pod's name, and of a container by its origin, each within one node, as identities are. So the calls of one node's
/// agent never wait for those of another's.
enum PodTurn {
    /// A name on any node.
    static func name(_ metadata: ObjectMeta) -> String { "name/\(metadata.namespace)/\(metadata.name)" }

    /// `name` is one of those, or an origin. No node's name has a slash.
    static func text(_ name: String, on node: String) -> String { "\(node)/\(name)" }
}

/// A pod's key in the log and the tables: `@node/` and its identity; before 1.1 the identity alone, which was one for all nodes. No
/// identity starts with that sign, and no node's name has a slash.
enum PodKey {
    static func text(_ node: String, _ identity: String) -> String { "@\(node)/\(identity)" }

    /// The node, nil where the key is an old one, and the identity's key behind it; nil where it is neither.
    static func parse(_ key: UnsafeRawBufferPointer) -> (
        node: UnsafeRawBufferPointer?, identity: UnsafeRawBufferPointer
    )? {
        var identity = key
        var node: UnsafeRawBufferPointer?
        if key.first == UInt8(ascii: "@") {
            guard let slash = key.firstIndex(of: UInt8(ascii: "/")) else { return nil }
            node = UnsafeRawBufferPointer(rebasing: key[1..<slash])
            identity = UnsafeRawBufferPointer(rebasing: key[(slash + 1)...])
        }
        return identity.contains(UInt8(ascii: "/")) ? (node, identity) : nil
    }
}

extension PodKey {
    /// The node that a key names; nil where it names none, or is no key.
    static func node(_ key: String) -> String? {
        var key = key
        return key.withUTF8 { key in
            parse(UnsafeRawBufferPointer(key))?.node.map { String(decoding: $0, as: UTF8.self) }
        }
    }
}
