import Foundation
import GRDB

/// Copies of a data directory's database: whole, consistent, and ready to be served again.
public enum Backup {
    /// A place for a copy in the data directory. The caller removes the copy; the next start removes one that a crash left.
    public static func temporaryFile(directory: String) -> String { DataFiles(directory: directory).newCopy() }

    /// Writes what is committed by now into a new file, for its owner alone, while commits go on. Blocks; any thread.
    public static func write(directory: String, to file: String) throws(LedgerError) {
        try DataFiles.make(file)
        let source = DataFiles(directory: directory).database
        try SQLiteLog.converting(source, .notCommitted) {
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            configuration.readonly = true
            let queue = try DatabaseQueue(path: source, configuration: configuration)
            try queue.inDatabase { db in try db.execute(sql: "VACUUM INTO ?", arguments: [file]) }
            try queue.close()
        }
    }

    /// Makes a directory's database out of a backup, which is checked first. A directory that has one already keeps it.
    public static func restore(from file: String, into directory: String) throws(LedgerError) {
        let lock = try DirectoryLock(directory)
        defer { withExtendedLifetime(lock) {} }
        let files = DataFiles(directory: directory)
        let target = files.database
        // A log that lies there would be taken for the new database's.
        for path in [target, files.log] where FileManager.default.fileExists(atPath: path) {
            throw LedgerError(
                .locked, "\(path) is there already and was not touched; give an empty directory, or leave --restore out"
            )
        }
        guard FileManager.default.isReadableFile(atPath: file) else {
            throw LedgerError(.unwritable, "\(file) is not there or can't be read")
        }
        files.removeUnfinished()
        let copy = files.restoring
        do throws(LedgerError) {
            try DataFiles.make(copy)
            try SQLiteLog.converting(file, .notCommitted) {
                var configuration = Configuration()
                configuration.readonly = true
                let queue = try DatabaseQueue(path: file, configuration: configuration)
                try queue.inDatabase { db in
                    try check(db, file)
                    try Space.prepare(db)
                    try db.execute(sql: "VACUUM INTO ?", arguments: [copy])
                }
                try queue.close()
            }
            guard sync(copy), rename(copy, target) == 0, sync(directory) else {
                throw LedgerError.system(.unwritable, "\(target) can't be written", errno)
            }
        } catch {
            unlink(copy)
            throw error
        }
    }

    private static func check(_ db: Database, _ file: String) throws {
        guard try Int64.fetchOne(db, sql: "PRAGMA application_id") == Schema.applicationID else {
            throw LedgerError(.notOurs, "\(file) is not a backup of tandemd")
        }
        // First, as all that follows reads by what the file says of itself.
        try Schema.verify(db, at: file)
        let faults = try String.fetchAll(db, sql: "PRAGMA integrity_check(1)")
        guard faults == ["ok"] else {
            throw LedgerError(.corrupt, "\(file) is damaged (\(faults.first ?? "")); use another backup")
        }
        try Schema.verifyVersions(db, at: file)
    }

    /// Waits until a file, or a directory's list of them, is on the disk.
    private static func sync(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return fsync(descriptor) == 0
    }
}
