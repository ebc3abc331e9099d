import Synchronization
public import TandemAPI

/// One change of one object, for watches. Its text is written at the first request, and once for all
/// watches. Thread-safe.
public final class WatchEvent: Sendable {
    enum EventType: UInt8, Sendable {
        case added, modified, deleted

        fileprivate var word: StaticString {
            switch self {
            case .added: "ADDED"
            case .modified: "MODIFIED"
            case .deleted: "DELETED"
            }
        }
    }

    /// Of the change, not of the object where that is gone.
    public let version: UInt64
    let change: EventType
    let object: WatchedObject
    private let written = Mutex<[UInt8]?>(nil)

    init(_ object: WatchedObject, _ change: EventType, version: UInt64) {
        (self.object, self.change, self.version) = (object, change, version)
    }

    /// `{"type":…,"resourceVersion":…,"object":…}`, without a line break. O(length), once.
    public var text: [UInt8] {
        written.withLock { written in
            if let written { return written }
            let text = Self.text(change, object, version)
            written = text
            return text
        }
    }

    static func text(_ change: EventType, _ object: WatchedObject, _ version: UInt64) -> [UInt8] {
        let shown = object.shown
        var text: [UInt8] = []
        text.reserveCapacity(shown.count + 72)
        append(#"{"type":""#, to: &text)
        append(change.word, to: &text)
        append(#"","resourceVersion":""#, to: &text)
        text.append(contentsOf: String(version).utf8)
        append(#"","object":"#, to: &text)
        text.append(contentsOf: shown)
        text.append(UInt8(ascii: "}"))
        return text
    }

    private static func append(_ word: StaticString, to text: inout [UInt8]) {
        word.withUTF8Buffer { text.append(contentsOf: $0) }
    }

    public var kind: ObjectKind { object.kind }
    /// Empty for nodes.
    public var namespace: String { object.namespace }
    /// The node that it is, or is on; nil for Services.
    public var nodeName: String? { object.nodeName }
}

/// An object as it was kept at one version: all of them are immutable from then on.
enum WatchedObject: Sendable {
    case service(StoredService)
    case node(NodeRecord)
    case pod(StoredPod)

    var kind: ObjectKind {
        switch self {
        case .service: .service
        case .node: .node
        case .pod: .pod
        }
    }

    var version: UInt64 {
        switch self {
        case .service(let service): service.version
        case .node(let node): node.version
        case .pod(let pod): pod.version
        }
    }

    var namespace: String {
        switch self {
        case .service(let service): service.namespace
        case .node: ""
        case .pod(let pod): pod.namespace
        }
    }

    var nodeName: String? {
        switch self {
        case .service: nil
        case .node(let node): node.name
        case .pod(let pod): pod.incarnation.name
        }
    }

    /// As lists serve it. O(length).
    var shown: [UInt8] {
        switch self {
        case .service(let service): service.served
        case .node(let node): node.served
        case .pod(let pod): pod.shown
        }
    }

    /// Memory that it keeps, in bytes, and its text beside it: an estimate from above.
    var keptBytes: Int {
        switch self {
        case .service(let service): service.documentCount + service.byteCount + 1024
        case .node(let node): 2 * node.document.count + 2048
        case .pod(let pod): 2 * pod.byteCount + 640
        }
    }
}

extension WatchQuery {
    /// Whether the watch selects the object.
    func wants(_ object: WatchedObject) -> Bool {
        guard kinds.contains(KindSet(object.kind)) else { return false }
        if let nodeName, object.nodeName != nodeName { return false }
        guard let namespace else { return true }
        return switch object {
        case .service(let service): service.isIn(namespace)
        case .node: false
        case .pod(let pod): pod.isIn(namespace: namespace)
        }
    }
}

extension StoredPod {
    /// The same as to compare `namespace`, without a text of it.
    fileprivate func isIn(namespace: String) -> Bool {
        withNameKey { key in
            var namespace = namespace
            return namespace.withUTF8 { namespace in
                key.count > namespace.count && key[namespace.count] == UInt8(ascii: "/")
                    && key[..<namespace.count].elementsEqual(namespace)
            }
        }
    }
}
