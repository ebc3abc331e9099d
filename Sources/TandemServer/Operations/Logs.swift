public import Logging

/// Where log lines go: standard error, one line each, as text or JSON.
public enum Logs {
    public static func logger(_ configuration: ServerConfiguration) -> Logger {
        var logger = Logger(label: "tandemd") { label in
            switch configuration.logFormat {
            case .text: StreamLogHandler.standardError(label: label)
            case .json: JSONLogHandler()
            }
        }
        logger.logLevel = configuration.logLevel
        return logger
    }

    /// For libraries whose lines say nothing that the server's own do not.
    public static let quiet = Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }
}

/// Standard error, whole lines at once.
public enum StandardError {
    public static func write(_ line: String) {
        StandardErrorStream.write(line)
    }
}
