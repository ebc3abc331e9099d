import TandemAPI

/// Why a server can't start on the store: one line, with the remedy.
public struct StartFault: Error, Sendable, CustomStringConvertible {
    public let description: String

    static func twoOwners(_ range: String, _ key: String, _ other: String?) -> StartFault {
        StartFault(
            description: "the stored object \(key) holds \(range), which "
                + (other.map { "\($0) holds as well; " } ?? "is not its to hold or has another owner; ")
                + "nothing was changed: restore a backup, or look into the tables addresses, services, nodes and pods")
    }

    static func unreadable(_ kind: String, _ key: UnsafeRawBufferPointer, _ fault: String) -> StartFault {
        StartFault(
            description:
                "the stored \(kind) \(String(decoding: key, as: UTF8.self).cut(toBytes: 300)) \(fault); nothing was changed: "
                + "restore a backup, or mend the tables by hand")
    }

    static func noNode(pod: String, node: String) -> StartFault {
        StartFault(
            description: "the stored pod \(pod) lies on node \"\(node)\", which is not stored; "
                + "nothing was changed: restore a backup, or look into the tables pods and nodes")
    }
}
