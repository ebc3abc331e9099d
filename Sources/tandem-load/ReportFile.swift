import ClientOptions
import Glibc

/// A file that a report goes to. It is opened before the run: what comes of minutes of load is not lost to a folder that is not there.
struct ReportFile: ~Copyable {
    private let option: String
    private let path: String
    private let descriptor: Int32

    /// What is there already stays until the report is written. Throws `UsageError`. Blocks.
    init(_ path: String, _ option: String) throws {
        (self.option, self.path) = (option, path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.fault(option, path) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Throws `UsageError`. Blocks.
    func write(_ text: String) throws {
        // What can't be cut, as a terminal or a pipe, has nothing to be cut.
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
