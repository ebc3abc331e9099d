import EtcdLog
import Foundation
import IPAM
import Ledger
import LineLogs
import Measures

extension Daemon {
    /// Makes the data directory's database, or the keys below the prefix of etcd, from a backup. Blocks, O(objects). Throws
    /// `ConfigurationFault`.
    public static func restore(_ backup: String, _ settings: Settings) throws {
        let configuration = try ServerConfiguration(settings)
        do {
            switch configuration.storage {
            case .sqlite(let directory): try restore(backup, into: directory, configuration.cluster)
            case .etcd(var settings):
                try Startup.checkFiles(settings)
                settings.since = Timestamp.now()
                try restore(backup, into: settings, configuration.cluster)
            }
        } catch let fault as ConfigurationFault {
            throw fault
        } catch {
            throw ConfigurationFault("restore", "\(error)")
        }
    }

    /// The backup's journal is judged as by a start, so that everything is in its tables.
    private static func restore(_ backup: String, into directory: String, _ cluster: ClusterConfiguration) throws {
        try Backup.restore(from: backup, into: directory) { directory in
            let log = try SQLiteLog(directory: directory)
            do {
                try Engine(cluster: cluster, log: log).stop()
            } catch {
                log.close()
                throw error
            }
        }
    }

    private static func restore(
        _ backup: String, into settings: EtcdLog.Settings, _ cluster: ClusterConfiguration
    ) throws {
        let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("tandem-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        try restore(backup, into: scratch, cluster)
        let log = try SQLiteLog(directory: scratch)
        defer { log.close() }
        try EtcdRestore.run(settings, from: log)
    }
}
