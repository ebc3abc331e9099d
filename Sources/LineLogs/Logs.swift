import Glibc
public import Logging

/// Where log lines go: standard error, one line each, as text or JSON.
public enum Logs {
    /// The process's level.
    public static var level: LogLevel { .process }

    /// Sets the process's level.
    public static func logger(_ label: String, _ format: LogFormat, _ logLevel: Logger.Level) -> Logger {
        level.current = logLevel
        return Logger(label: label) { _ in LineLogHandler(format: format) }
    }

    /// For libraries that log nothing beyond the server's own lines.
    public static let quiet = Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }

    /// Writes a line at once, past those that wait, unless their reader would have to be waited for.
    public static func writeIfPossible(
        _ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata, _ format: LogFormat
    ) {
        var stream = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard poll(&stream, 1, 0) == 1, stream.revents & Int16(POLLOUT) != 0 else { return }
        // A pipe that can be written to takes as many bytes as a line has.
        LogWriter.write(LineLogHandler(format: format).line(level, message, metadata))
    }

    /// Returns when every line is written, or after two seconds. Blocks.
    public static func flush() { LogWriter.standardError.flush() }
}

/// Standard error, whole lines at once, behind the log's own.
public enum StandardError {
    public static func write(_ line: String) {
        Logs.flush()
        LogWriter.write(line)
    }
}
