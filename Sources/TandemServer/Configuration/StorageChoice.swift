public import EtcdLog
import Foundation

/// Where the log is.
public enum StorageChoice: Sendable {
    /// The database `tandem.db` of a directory: one server.
    case sqlite(directory: String)
    /// A prefix of an etcd cluster: any number of servers.
    case etcd(EtcdLog.Settings)

    /// For people.
    var place: String {
        switch self {
        case .sqlite(let directory): directory
        case .etcd(let settings): "etcd \(settings.prefix)"
        }
    }

    /// Where files are made that are in no other program's way.
    var scratchDirectory: String {
        switch self {
        case .sqlite(let directory): directory
        case .etcd: FileManager.default.temporaryDirectory.path
        }
    }
}
