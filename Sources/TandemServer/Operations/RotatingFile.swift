import Foundation
import Glibc

/// A file that lines are appended to; past its size it becomes FILE.1, what was FILE.1 becomes FILE.2, and so on, and the
/// oldest goes. Calls block; from one thread at a time.
struct RotatingFile: ~Copyable {
    private let path: String
    private let maximumBytes: Int
    private let backups: Int
    private var descriptor: Int32 = -1
    private var bytes = 0

    /// Opens or makes the file, for its owner alone. `maximumBytes` is at least 1, `backups` at least 0.
    init(_ path: String, maximumBytes: Int, backups: Int) throws(SystemError) {
        self.path = path
        self.maximumBytes = maximumBytes
        self.backups = backups
        try open()
    }

    struct SystemError: Error {
        var message: String
    }

    private mutating func open() throws(SystemError) {
        descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError(message: String(cString: strerror(errno))) }
        // One that was there may be open to others; what is no file, such as a pipe, is not this program's.
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o177 != 0 {
            fchmod(descriptor, 0o600)
        }
        bytes = max(0, Int(lseek(descriptor, 0, SEEK_END)))
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Appends a line with its break, in one write; moves what is there aside first where it would grow too large.
    mutating func append(_ line: [UInt8]) throws(SystemError) {
        if bytes > 0, bytes + line.count > maximumBytes { try rotate() }
        if descriptor < 0 { try open() }
        var rest = line[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemError(message: String(cString: strerror(errno))) }
            bytes += count
            rest = rest.dropFirst(count)
        }
    }

    private mutating func rotate() throws(SystemError) {
        close(descriptor)
        descriptor = -1
        for number in stride(from: backups, to: 0, by: -1) {
            rename(number == 1 ? path : "\(path).\(number - 1)", "\(path).\(number)")
        }
        if backups == 0 { unlink(path) }
        try open()
    }
}
