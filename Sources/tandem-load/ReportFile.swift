import ClientOptions
import Glibc

/// A file that a report goes to. It is opened before the run, so that minutes of load are not lost to a missing folder.
struct ReportFile: ~Copyable {
    private let option: String
    private let path: String
    private let descriptor: Int32

    /// The old content stays until the report is written. Throws `UsageError`. Blocks.
    init(_ path: String, _ option: String) throws {
        (self.option, self.path) = (option, path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.fault(option, path) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Throws `UsageError`. Blocks.
    func write(_ text: String) throws {
        // A file that can't be truncated, such as a terminal or a pipe, has nothing to truncate.
        _ = ftruncate(descriptor, 0)
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw Self.fault(option, path) }
            rest = rest.dropFirst(written)
        }
    }

    private static func fault(_ option: String, _ path: String) -> UsageError {
        UsageError("\(option): \(path) can't be written: \(String(cString: strerror(errno)))")
    }
}
