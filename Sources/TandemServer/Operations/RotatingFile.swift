import Glibc
import Measures

/// A file that lines are appended to; past its size it becomes FILE.1, the old FILE.1 becomes FILE.2, and so on, and the
/// oldest goes. One that was moved or deleted by another program is begun anew. Calls block; from one thread at a time.
///
/// A failed step loses nothing: the open file is written on, and a step that failed is tried again after `pause`.
struct RotatingFile: ~Copyable {
    private let path: String
    private let maximumBytes: Int
    private let backups: Int
    private var file: OpenFile
    private var nextTry: UInt64 = 0

    /// Between two attempts at a failed step, in nanoseconds.
    static let pause: UInt64 = 10_000_000_000

    struct SystemError: Error {
        var message: String

        init(_ code: Int32 = errno) { message = String(cString: strerror(code)) }
    }

    /// Opens or makes the file, for its owner alone. `maximumBytes` is at least 1, `backups` at least 0.
    init(_ path: String, maximumBytes: Int, backups: Int) throws(SystemError) {
        self.path = path
        self.maximumBytes = maximumBytes
        self.backups = backups
        file = try OpenFile(path)
    }

    /// Goes on in a new file where the one that is open is no longer the one at the path. Throws where that can't be opened.
    mutating func follow(_ now: Moment) throws(SystemError) {
        guard now.nanoseconds >= nextTry, !file.isAt(path) else { return }
        nextTry = now.nanoseconds + Self.pause
        file = try OpenFile(path)
        nextTry = 0
    }

    /// Moves the file aside where it would grow too large by so many bytes more. Throws where that can't be done.
    mutating func makeRoom(for count: Int, _ now: Moment) throws(SystemError) {
        guard now.nanoseconds >= nextTry, let bytes = file.size, bytes > 0, bytes + count > maximumBytes else { return }
        nextTry = now.nanoseconds + Self.pause
        file = try Self.rotate(path, backups)
        nextTry = 0
    }

    /// The next file, at the path. Steps that can fail for want of a descriptor, of space or of a right come first.
    private static func rotate(_ path: String, _ backups: Int) throws(SystemError) -> OpenFile {
        let new = "\(path).new"
        let next = try OpenFile(new, isNew: true)
        do throws(SystemError) {
            try shift(path, behind: new, backups)
        } catch {
            unlink(new)
            throw error
        }
        return next
    }

    /// Appends a line with its break. Throws where not all of it could be written; then none of it is there.
    func append(_ line: [UInt8]) throws(SystemError) { try file.append(line) }

    private static func shift(_ path: String, behind new: String, _ backups: Int) throws(SystemError) {
        if backups > 0 {
            // Files after a free number stay: an incomplete attempt pushes nothing off the end.
            var last = 1
            while last < backups, access("\(path).\(last)", F_OK) == 0 { last += 1 }
            for number in stride(from: last, to: 1, by: -1) { try move("\(path).\(number - 1)", "\(path).\(number)") }
            try move(path, "\(path).1")
        }
        do throws(SystemError) {
            try move(new, path)
        } catch {
            if backups > 0 { rename("\(path).1", path) }
            throw error
        }
    }

    private static func move(_ old: String, _ new: String) throws(SystemError) {
        guard rename(old, new) == 0 else { throw SystemError() }
    }
}

/// A file that is open for lines to be appended.
private struct OpenFile: ~Copyable {
    private let descriptor: Int32
    /// Else a pipe, a terminal or the like, which has no length and stays as it is.
    private let isRegular: Bool

    /// For its owner alone. `isNew`: replacing the file of an earlier attempt.
    init(_ path: String, isNew: Bool = false) throws(RotatingFile.SystemError) {
        if isNew { unlink(path) }
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (isNew ? O_EXCL : 0), 0o600)
        var status = stat()
        isRegular = descriptor >= 0 && fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        guard descriptor >= 0 else { throw RotatingFile.SystemError() }
        // One that was there may be open to others; anything else than a file is not this program's.
        if isRegular, status.st_mode & 0o177 != 0 { fchmod(descriptor, 0o600) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// nil where there is none. Another process may have truncated it.
    var size: Int? {
        var status = stat()
        guard isRegular, fstat(descriptor, &status) == 0 else { return nil }
        return Int(status.st_size)
    }

    func isAt(_ path: String) -> Bool {
        var (own, there) = (stat(), stat())
        guard fstat(descriptor, &own) == 0, stat(path, &there) == 0 else { return false }
        return own.st_dev == there.st_dev && own.st_ino == there.st_ino
    }

    func append(_ line: [UInt8]) throws(RotatingFile.SystemError) {
        let start = size
        var rest = line[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = RotatingFile.SystemError()
                // Half a line would spoil the next one.
                if let start, rest.count < line.count { ftruncate(descriptor, off_t(start)) }
                throw error
            }
            rest = rest.dropFirst(count)
        }
    }
}
