import Glibc

/// Standard error, whole lines at once, written by a thread of its own: a reader that is slow holds up no caller.
package final class LogWriter: Sendable {
    package static let standardError = LogWriter()

    /// Lines that may wait, and the bytes that may be kept for them.
    private static let limit = 10_000
    private static let maximumBytes = 4 << 20

    private let queue = BackgroundQueue<String>(
        "tandem-log", limit: limit, maximumBytes: maximumBytes, bytes: \.utf8.count
    ) { lines in
        write(lines.joined())
    }

    /// Queues a line with its break.
    package func line(_ line: String) { queue.submit(line) }

    /// Lines that came while too many waited.
    package var dropped: UInt64 { queue.dropped }

    /// Returns when everything is written, or after two seconds. Blocks.
    package func flush() { queue.flush() }

    /// Past any buffer, at once. Blocks.
    package static func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(STDERR_FILENO, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR || errno == EAGAIN { continue }
                guard count > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
            }
        }
    }
}
