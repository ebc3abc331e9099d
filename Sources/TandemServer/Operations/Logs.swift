public import Logging

/// Where log lines go: standard error, one line each, as text or JSON.
public enum Logs {
    /// The process's level.
    public static let level = LogLevel(.info)

    public static func logger(_ configuration: ServerConfiguration) -> Logger {
        level.current = configuration.logLevel
        return Logger(label: "tandemd") { _ in LineLogHandler(format: configuration.logFormat) }
    }

    /// For libraries whose lines say nothing that the server's own do not.
    public static let quiet = Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }

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
