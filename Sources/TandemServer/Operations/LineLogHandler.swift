import Logging
import TandemAPI

/// One line an event: the time, the level, the message, then the metadata in the order of their names.
struct LineLogHandler: LogHandler {
    let format: ServerConfiguration.LogFormat
    var metadata: Logger.Metadata = [:]

    var logLevel: Logger.Level {
        get { Logs.level.current }
        set { Logs.level.current = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let members = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let line =
            switch format {
            case .json: Self.json(event, members)
            case .text: Self.text(event, members)
            }
        LogWriter.standardError.line(line + "\n")
    }

    private typealias Members = [(key: String, value: Logger.MetadataValue)]

    /// `{"time":…,"level":…,"message":…,…}`
    private static func json(_ event: LogEvent, _ members: Members) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("time")
        writer.string(Timestamp.now())
        writer.key("level")
        writer.string(event.level.rawValue)
        writer.key("message")
        writer.string(event.message.description)
        for (name, value) in members {
            writer.key(name)
            writer.string(value.description)
        }
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// `2026-11-24T08:46:47.123Z notice ready address=127.0.0.1:8443`; a value that is no plain word is quoted as in JSON,
    /// so that what a client sent can't make a line of its own.
    private static func text(_ event: LogEvent, _ members: Members) -> String {
        var line = "\(Timestamp.now()) \(event.level.rawValue) "
        let message = event.message.description
        line += message.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } ? message : quoted(message)
        for (name, value) in members {
            let text = value.description
            line += " \(name)=\(isWord(text) ? text : quoted(text))"
        }
        return line
    }

    private static func isWord(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
            }
    }

    private static func quoted(_ text: String) -> String {
        var writer = JSONWriter()
        writer.string(text)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
