package import Logging
import Measures
import TandemAPI

/// One line an event: the time, the level, the message, then the metadata in the order of their names. As text
/// `2026-11-24T08:46:47.123Z notice ready address=127.0.0.1:8443`, or as a JSON object.
package struct LineLogHandler: LogHandler {
    package let format: LogFormat
    package var metadata: Logger.Metadata = [:]

    package var logLevel: Logger.Level {
        get { LogLevel.process.current }
        set { LogLevel.process.current = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// The most that a line is long, its break included, and one value in it as it is written, in bytes. A cut text ends in
    /// …; members that have no room at all are counted by a last one, `more`.
    package static let maximumLineBytes = 4096
    package static let maximumValueBytes = 512

    package func log(event: LogEvent) {
        LogWriter.standardError.line(
            line(event.level, event.message, metadata.merging(event.metadata ?? [:]) { $1 }))
    }

    /// A line with its break.
    package func line(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) -> String {
        let message = message.description.cut(toBytes: Self.maximumValueBytes)
        var line =
            switch format {
            case .json:
                "{\"time\":\"\(Timestamp.now())\",\"level\":\"\(level)\",\"message\":\(Self.quoted(message))"
            case .text: "\(Timestamp.now()) \(level) \(Self.isOneLine(message) ? message : Self.quoted(message))"
            }
        var left = 0
        for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
            let member = member(name, value.description)
            let isFitting = line.utf8.count + member.utf8.count <= Self.maximumLineBytes - Self.endBytes
            if isFitting { line += member } else { left += 1 }
        }
        if left > 0 { line += member("more", String(left)) }
        return line + (format == .json ? "}\n" : "\n")
    }

    /// For `more` and the end of the line.
    private static let endBytes = 32

    /// As text ` name=value`; a value that is no plain word is quoted as in JSON, so that a client's text can't make a line
    /// of its own.
    private func member(_ name: String, _ value: String) -> String {
        switch format {
        case .json: return ",\(Self.quoted(name)):\(Self.quoted(value))"
        case .text:
            let value = value.cut(toBytes: Self.maximumValueBytes)
            return " \(name)=\(Self.isWord(value) ? value : Self.quoted(value))"
        }
    }

    private static func isOneLine(_ text: String) -> Bool {
        !text.unicodeScalars.contains(where: \.isHidden)
    }

    private static func isWord(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
            }
    }

    /// A JSON string, with nothing hidden in it, of at most `maximumValueBytes` between its quotes. An escape takes up to six bytes, so that a text which
    /// is full of them is cut shorter.
    private static func quoted(_ text: String) -> String {
        var room = maximumValueBytes
        while true {
            let quoted = JSONValue.string(text.cut(toBytes: room)).text.description.visible
            guard quoted.utf8.count > maximumValueBytes + 2 else { return quoted }
            room /= 2
        }
    }
}
