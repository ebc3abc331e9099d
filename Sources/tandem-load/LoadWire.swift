import LineFraming
import NIOCore

/// How messages travel on a connection.
protocol LoadWire: AnyObject {
    func write(_ message: [UInt8], into buffer: inout ByteBuffer)
    func receive(_ bytes: ByteBuffer)
    /// The next whole message; nil when more bytes are needed.
    func next() throws -> ByteBuffer?
}

/// One message a line.
final class StreamWire: LoadWire {
    private var lines = LineBuffer(maximumBytes: 16 << 20)

    func write(_ message: [UInt8], into buffer: inout ByteBuffer) {
        buffer.writeBytes(message)
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    func receive(_ bytes: ByteBuffer) { lines.append(bytes) }

    func next() throws -> ByteBuffer? {
        switch lines.next() {
        case .none: nil
        case .line(let line): line
        case .tooLong: throw LoadFailure(description: "a line without end")
        }
    }
}

/// One message a POST, answered in order. The harness speaks just the HTTP/1.1 that the server answers with: a status, a
/// length and a body, so that the measuring costs less than the measured work.
final class HTTPWire: LoadWire {
    private let head: [UInt8]
    private var buffer = ByteBuffer()

    init(host: String) {
        head = Array("POST /rpc HTTP/1.1\r\nHost: \(host)\r\nContent-Type: application/json\r\nContent-Length: ".utf8)
    }

    func write(_ message: [UInt8], into buffer: inout ByteBuffer) {
        buffer.writeBytes(head)
        buffer.writeString(String(message.count))
        buffer.writeString("\r\n\r\n")
        buffer.writeBytes(message)
    }

    func receive(_ bytes: ByteBuffer) {
        var bytes = bytes
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeBuffer(&bytes) }
    }

    func next() throws -> ByteBuffer? {
        let view = buffer.readableBytesView
        guard let end = Self.endOfHead(view) else { return nil }
        let lines = String(decoding: view[..<end], as: UTF8.self).split(separator: "\r\n")
        guard lines.first?.hasPrefix("HTTP/1.1 200") == true else {
            throw LoadFailure(description: "HTTP answers \(lines.first ?? "nothing")")
        }
        let length =
            lines.lazy.filter { $0.lowercased().hasPrefix("content-length:") }
            .compactMap { Int($0.dropFirst(15).drop { $0 == " " }) }.first ?? 0
        let headBytes = end - view.startIndex
        guard buffer.readableBytes >= headBytes + length else { return nil }
        buffer.moveReaderIndex(forwardBy: headBytes)
        defer { if buffer.readableBytes == 0 { buffer.clear() } }
        return buffer.readSlice(length: length)
    }

    /// Behind the empty line.
    private static func endOfHead(_ bytes: ByteBufferView) -> Int? {
        var index = bytes.startIndex
        while let found = bytes[index...].firstIndex(of: UInt8(ascii: "\n")) {
            index = found + 1
            if index + 1 < bytes.endIndex, bytes[index] == UInt8(ascii: "\r"), bytes[index + 1] == UInt8(ascii: "\n") {
                return index + 2
            }
        }
        return nil
    }
}
