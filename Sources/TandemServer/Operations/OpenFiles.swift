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

    /// As many of `asked` connections as fit under a limit beside everything else; one at least.
    static func connections(_ asked: Int, eventLoops: Int, limit: Int) -> Int {
        max(1, min(asked, limit - reserve - perEventLoop * eventLoops))
    }
}
