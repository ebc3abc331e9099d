import Foundation
import GRDB

/// Copies of a data directory's database: whole, consistent, and ready to be served again.
public enum Backup {
    /// A place for a copy in the data directory. The caller removes the copy; the next start removes one that a crash left.
    public static func temporaryFile(directory: String) -> String { DataFiles(directory: directory).newCopy() }

    /// Writes the tables' content into a new file, for its owner alone, while commits go on. Blocks; any thread.
    static func write(directory: String, to file: String) throws(LedgerError) {
        try DataFiles.make(file)
        let source = DataFiles(directory: directory).database
        try LedgerError.converting(source, .notCommitted) {
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            configuration.readonly = true
            let queue = try DatabaseQueue(path: source, configuration: configuration)
            try queue.inDatabase { db in try db.execute(sql: "VACUUM INTO ?", arguments: [file]) }
            try queue.close()
        }
        try standAlone(file)
    }

    /// The copy names no segment of the journal.
    private static func standAlone(_ file: String) throws(LedgerError) {
        try LedgerError.converting(file, .notCommitted) {
            let queue = try DatabaseQueue(path: file)
            try queue.writeWithoutTransaction { db in
                // An unfinished file is no backup: nothing waits for the disk.
                try db.execute(sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
                if try db.tableExists("segments") { try db.execute(sql: "DELETE FROM segments") }
            }
            try queue.close()
        }
    }

    /// Versions that are not given out any more after a restore: as many as may have been given since the backup was made, so that
    /// versions that clients remember are never mistaken for new ones.
    public static let skippedVersions: Int64 = 1_000_000_000

    /// Makes a directory's database out of a backup, which is checked first. A directory that has one already keeps it.
    ///
    /// `settle` opens the log of the directory that it gets, judges the journal, folds it and closes the log; then versions go on
    /// `skippedVersions` further. Without it they go on as if nothing had happened.
    public static func restore(
        from file: String, into directory: String, settle: ((_ directory: String) throws -> Void)? = nil
    ) throws(LedgerError) {
        let lock = try DirectoryLock(directory)
        defer { withExtendedLifetime(lock) {} }
        let files = DataFiles(directory: directory)
        let target = files.database
        // A log that lies there would be taken for the new database's.
        let segments = files.segments().map { "\(directory)/\($0)" }
        for path in [target, files.log] + segments where FileManager.default.fileExists(atPath: path) {
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
            try LedgerError.converting(file, .notCommitted) {
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
            try standAlone(copy)
            if let settle { try settled(copy, in: files.newCopy(), settle) }
            guard sync(copy), rename(copy, target) == 0, sync(directory) else {
                throw LedgerError.system(.unwritable, "\(target) can't be written", errno)
            }
        } catch {
            unlink(copy)
            throw error
        }
    }

    /// The same file, with everything in its tables and further versions. A kill leaves files that the next start removes.
    private static func settled(
        _ copy: String, in scratch: String, _ settle: (_ directory: String) throws -> Void
    ) throws(LedgerError) {
        let files = DataFiles(directory: scratch)
        guard mkdir(scratch, 0o700) == 0, rename(copy, files.database) == 0 else {
            throw LedgerError.system(.unwritable, "\(scratch) can't be made", errno)
        }
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        try LedgerError.converting(copy, .notCommitted) {
            try settle(scratch)
            let queue = try DatabaseQueue(path: files.database)
            try queue.writeWithoutTransaction { db in
                // One file again, whole by itself.
                try db.execute(sql: "PRAGMA journal_mode = DELETE")
                let left = try Int.fetchOne(
                    db, sql: "SELECT (SELECT count(*) FROM journal) + (SELECT count(*) FROM segments)")
                guard left == 0 else {
                    throw LedgerError(.inputOutput, "the journal of \(copy) could not be brought into its tables")
                }
                try db.execute(
                    sql: "UPDATE meta SET value = min(value + ?, ?) WHERE name = 'version'",
                    arguments: [skippedVersions, Proposal.maximumNumber])
            }
            try queue.close()
        }
        guard rename(files.database, copy) == 0 else {
            throw LedgerError.system(.unwritable, "\(copy) can't be written", errno)
        }
    }

    private static func check(_ db: Database, _ file: String) throws {
        guard try Int64.fetchOne(db, sql: "PRAGMA application_id") == Schema.applicationID else {
            throw LedgerError(.notOurs, "\(file) is not a backup of tandemd")
        }
        // First, as all later reads depend on the file's own settings.
        try Schema.verify(db, at: file)
        if try db.tableExists("segments"), try Int.fetchOne(db, sql: "SELECT sum(needed) FROM segments") ?? 0 > 0 {
            throw LedgerError(
                .corrupt,
                "\(file) is a copy of a database whose last changes are in files tandem.journal-* that it does not have: give a "
                    + "file of tandemctl backup; or put it back beside those files, as tandem.db, and start without --restore"
            )
        }
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
