import Glibc

/// How many files, connections among them, the process may have open.
enum OpenFiles {
    /// Kept from connections: for storage, logs, certificates that are read again, backups, and connections that are about to
    /// be refused.
    static let reserve = 64
    /// Kept for each event loop: its selector, its wake-up and its timer.
    static let perEventLoop = 3

    /// As many as the process may give itself: what a shell gives is often less than the connections that are let in.
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
