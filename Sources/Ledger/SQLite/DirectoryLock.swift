import Glibc

/// Holds a data directory for one process: a lock of the system on `tandem.lock`, which ends with the process however
/// that ends.
final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// Makes the directory if need be. Throws where it can't be made or written, or another process has it.
    init(_ directory: String) throws(LedgerError) {
        try Self.makeDirectory(directory)
        descriptor = try Self.lock(directory)
    }

    private static func lock(_ directory: String) throws(LedgerError) -> Int32 {
        let path = "\(directory)/tandem.lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(.unwritable, "\(path) can't be written", errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            let holder = readHolder(descriptor)
            Glibc.close(descriptor)
            guard reason == EWOULDBLOCK else { throw .system(.unwritable, "\(path) can't be locked", reason) }
            throw LedgerError(
                .locked,
                "\(directory) is served by another process\(holder.map { " (pid \($0))" } ?? ""); "
                    + "stop it, or give another directory")
        }
        // Only for the message above: the lock itself is the system's.
        let pid = "\(getpid())\n"
        ftruncate(descriptor, 0)
        _ = pid.withCString { pwrite(descriptor, $0, strlen($0), 0) }
        return descriptor
    }

    deinit {
        // Said, not left to the close: a child that was forked and has not yet begun its own program holds the lock as well.
        flock(descriptor, LOCK_UN)
        Glibc.close(descriptor)
    }

    /// Each missing part of the path, for this user alone.
    private static func makeDirectory(_ directory: String) throws(LedgerError) {
        var path = directory.hasPrefix("/") ? "/" : ""
        for part in directory.split(separator: "/") {
            path += (path.isEmpty || path.hasSuffix("/") ? "" : "/") + part
            if mkdir(path, 0o700) == 0 || errno == EEXIST { continue }
            throw .system(.unwritable, "the directory \(path) can't be made", errno)
        }
        guard access(directory, R_OK | W_OK | X_OK) == 0 else {
            throw .system(.unwritable, "the directory \(directory) can't be written by this user", errno)
        }
    }

    private static func readHolder(_ descriptor: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return nil }
        let digits = bytes[..<count].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        return digits.isEmpty ? nil : String(decoding: digits, as: UTF8.self)
    }
}

extension LedgerError {
    static func system(
        _ code: Code, _ message: String, _ errorNumber: Int32, _ outcome: Outcome = .notCommitted
    ) -> LedgerError {
        LedgerError(code, "\(message): \(String(cString: strerror(errorNumber)))", outcome: outcome)
    }
}
