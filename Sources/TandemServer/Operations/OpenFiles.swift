import Glibc

/// How many files, connections among them, the process may have open.
enum OpenFiles {
    /// As many as the process may give itself: what a shell gives is often less than the connections that are let in.
    static func raiseLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
