import GRDB

/// Room in the file that nothing uses any more, and how it goes back to the file system.
///
/// A database is made so that its last pages can be moved to free ones (`auto_vacuum = INCREMENTAL`). One of an earlier
/// version is not, and is written anew at a start at which most of it is free.
enum Space {
    /// Free pages that stay, for later writes: 4 MiB, or an eighth of the file.
    private static let keptPages = 1024
    private static let keptShare = 8
    /// Free pages that are worth writing all others anew: 16 MiB, where they are more than half.
    private static let sparsePages = 4096
    /// Pages given back at once, and in one step at most.
    private static let piece = 16
    private static let stepPages = 256
    /// How long a step takes: to move a page is a matter of microseconds or, in a large file with many holes, milliseconds.
    private static let stepTime = Duration.milliseconds(5)

    /// Before anything is written into a new database; for an older one a rebuilding follows it.
    static func prepare(_ db: Database) throws {
        if try mode(db) == 0 { try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL") }
    }

    /// Writes an older version's database anew where most of it is free. O(its content). A failure, such as a disk without
    /// room for the copy, leaves it as it is.
    static func rebuildIfSparse(_ db: Database) throws {
        let (free, total) = try pages(db)
        guard try mode(db) == 0, free > max(sparsePages, total / 2) else { return }
        // The log has all of it then, which later would be copied between two commits.
        try? db.execute(sql: "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Gives some pages back, in one transaction of a bounded time; returns how many. The file gets shorter when the log is
    /// copied into it.
    static func giveBack(_ db: Database) throws -> Int {
        let (free, total) = try pages(db)
        guard try mode(db) == 2, free > kept(of: total) else { return 0 }
        var given = 0
        try db.inTransaction(.immediate) {
            let end = ContinuousClock.now + stepTime
            repeat {
                try db.cachedStatement(sql: "PRAGMA incremental_vacuum(\(piece))").execute()
                given += piece
            } while given < stepPages && free - given > kept(of: total - given) && .now < end
            return .commit
        }
        return given
    }

    private static func kept(of total: Int) -> Int { max(keptPages, total / keptShare) }

    /// 0 for none, 2 for INCREMENTAL.
    private static func mode(_ db: Database) throws -> Int {
        try Int.fetchOne(db, sql: "PRAGMA auto_vacuum") ?? 0
    }

    private static func pages(_ db: Database) throws -> (free: Int, total: Int) {
        (
            try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0,
            try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
        )
    }
}
