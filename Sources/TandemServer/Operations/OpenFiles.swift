import Glibc

/// How many files, connections among them, the process may have open.
enum OpenFiles {
    /// Kept from connections that have a place (`--max-connections`). The sum of the reserves below.
    static let reserve = connectionsWithoutPlace + backups * perBackup + itself

    /// Connections that are told why they are closed, and may take their time to hear it: refused ones, and strangers that made room.
    static let leavingConnections = 18
    /// That one look at the listener accepts.
    static let acceptedAtOnce = 4
    /// Those that leave, those that are accepted and not judged yet, and those that are being cut off.
    static let connectionsWithoutPlace = leavingConnections + 2 * acceptedAtOnce

    /// That are made or sent at a time.
    static let backups = 2
    /// The database, its log and the log's index; the copy, its journal, and SQLite's temporary files.
    static let perBackup = 6

    /// The files that a server has open at any load, 38: three standard streams, the listener, 8 for signals and timers, the database with its
    /// log and index, the journal's segments, 10 and as many of an earlier start, the directory's lock, the audit log, and one to spare. For a
    /// moment also 5: the next audit log, a certificate, a directory of /proc, and SQLite's temporary files.
    static let itself = 43
    /// Kept for each event loop: its selector, its wake-up and its timer.
    static let perEventLoop = 3

    /// As many as the process may give itself: the default of a shell is often less than the number of connections allowed.
    static func raiseLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// The limit that is in force.
    static var limit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        return Int(clamping: limit.rlim_cur)
    }

    /// With room for fewer connections, where more are asked for, a server is no use.
    static let fewestConnections = 16

    /// Connections that fit under a limit beside everything else. Not below 0.
    static func room(eventLoops: Int, limit: Int) -> Int { max(0, limit - reserve - perEventLoop * eventLoops) }
}
