package import NIOCore

/// Cuts a stream of bytes into HTTP/1.1's requests by RFC 9112, as strictly as it lets a server be: whatever two readers could
/// take for two different things is a fault. Each byte is looked at once, however it arrives.
///
/// `Upgrade` is passed over, as a server may: the request is one of HTTP/1.1.
package struct HTTPRequestReader: Sendable {
    package enum Next: Sendable, Equatable {
        /// Nothing more can be told until bytes come.
        case none
        case request(HTTPRequest)
        /// Some of its body; never empty.
        case body(ByteBuffer)
        case end
        /// Nothing can be read after it.
        case fault(HTTPFault)
    }

    /// Of a request line with its headers, and of the trailers behind a body: they are kept before anything looks at a
    /// certificate.
    package static let maximumHeadBytes = 16 << 10
    static let maximumHeaders = 256
    /// Of a chunk's length with a client's extensions.
    private static let maximumChunkLine = 1 << 10

    private enum State {
        case requestLine
        case headers
        case body(left: Int)
        case chunkLength
        case chunk(left: Int)
        case chunkEnd
        case trailers
        case broken
    }

    private var state = State.requestLine
    private var head = HTTPHead()
    private var buffer = ByteBuffer()
    /// Bytes from the start of `buffer` that hold no line break.
    private var searched = 0
    /// The remaining limits of a head's bytes, or the trailers', and of their lines.
    private var bytesLeft = Self.maximumHeadBytes
    private var linesLeft = Self.maximumHeaders

    package init() {}

    /// Memory of unread input, in bytes.
    package var storedBytes: Int { buffer.storageCapacity }

    /// Lets go of everything, and takes nothing more.
    mutating func close() {
        state = .broken
        buffer = ByteBuffer()
    }

    package mutating func append(_ bytes: ByteBuffer) {
        if case .broken = state { return }
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            var bytes = bytes
            buffer.discardReadBytes()
            buffer.writeBuffer(&bytes)
        }
    }

    package mutating func next() -> Next {
        do throws(HTTPFault) {
            while true {
                if let next = try step() { return next }
            }
        } catch {
            close()
            return .fault(error)
        }
    }

    /// nil where there is nothing to be told of it, and it goes on.
    private mutating func step() throws(HTTPFault) -> Next? {
        switch state {
        case .requestLine:
            // Lines that are empty before a request are passed over, as are those behind it of clients that count wrongly.
            guard let length = try headLine() else { return Next.none }
            guard length > 0 else {
                skipLine(length)
                return nil
            }
            try take(length) { head, line throws(HTTPFault) in try head.begin(line) }
            state = .headers
        case .headers:
            guard let length = try headLine() else { return Next.none }
            guard length == 0 else {
                try take(length) { head, line throws(HTTPFault) in try head.add(line) }
                return nil
            }
            skipLine(length)
            let request = try head.request()
            endLines()
            switch request.body {
            case .bytes(let count): state = .body(left: count)
            case .chunked: state = .chunkLength
            }
            return .request(request)
        case .body(left: 0): return end()
        case .body(let left):
            guard let piece = piece(left) else { return Next.none }
            state = .body(left: left - piece.readableBytes)
            return .body(piece)
        case .chunkLength:
            guard let length = try line(atMost: Self.maximumChunkLine, .bad("a chunk's length is too long")) else {
                return Next.none
            }
            let count = try take(length) { _, line throws(HTTPFault) in try Self.chunkLength(line) }
            state = count == 0 ? .trailers : .chunk(left: count)
        case .chunk(left: 0): state = .chunkEnd
        case .chunk(let left):
            guard let piece = piece(left) else { return Next.none }
            state = .chunk(left: left - piece.readableBytes)
            return .body(piece)
        case .chunkEnd:
            guard let length = try line(atMost: 1, Self.longChunk) else { return Next.none }
            guard length == 0 else { throw Self.longChunk }
            skipLine(length)
            state = .chunkLength
        case .trailers:
            guard let length = try headLine() else { return Next.none }
            guard length > 0 else {
                skipLine(length)
                return end()
            }
            // They must be such as could be headers; nothing is read of them.
            try take(length) { _, line throws(HTTPFault) in _ = try HTTPHead.field(line) }
        case .broken: return Next.none
        }
        return nil
    }

    private mutating func end() -> Next {
        state = .requestLine
        head = HTTPHead()
        endLines()
        // One that is merely cleared keeps its memory, for as long as the client is silent.
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
        return .end
    }

    private mutating func endLines() {
        bytesLeft = Self.maximumHeadBytes
        linesLeft = Self.maximumHeaders
    }

    private mutating func piece(_ most: Int) -> ByteBuffer? {
        let count = min(most, buffer.readableBytes)
        guard count > 0 else { return nil }
        defer { if buffer.readableBytes == 0 { buffer = ByteBuffer() } }
        return buffer.readSlice(length: count)
    }

    // MARK: Lines

    private static let longChunk = HTTPFault.bad("a chunk is longer than its length says")

    /// The same of a line of the head or the trailers, of which there are only so many.
    private mutating func headLine() throws(HTTPFault) -> Int? {
        guard let length = try line(atMost: bytesLeft, .headersTooLarge, strictly: false) else { return nil }
        bytesLeft -= length
        linesLeft -= 1
        // The request line and the empty one are none of the headers.
        guard linesLeft >= -2 else { throw .headersTooLarge }
        return length
    }

    /// The length of the line that begins here, without its break; nil where it is not whole.
    private mutating func line(
        atMost maximum: Int, _ fault: HTTPFault, strictly: Bool = true
    ) throws(HTTPFault) -> Int? {
        guard let newline = buffer.readableBytesView.dropFirst(searched).firstIndex(of: UInt8(ascii: "\n")) else {
            searched = buffer.readableBytes
            guard searched <= maximum + 2 else { throw fault }
            return nil
        }
        var length = newline - buffer.readerIndex
        searched = 0
        // Before how it ends, as where it comes in pieces its end is not waited for.
        guard length <= maximum + 1 else { throw fault }
        if length > 0, buffer.getInteger(at: newline - 1, as: UInt8.self) == UInt8(ascii: "\r") {
            length -= 1
        } else if strictly {
            throw .bad("a line of a chunked body ends without \\r")
        }
        guard length <= maximum else { throw fault }
        return length
    }

    /// Gives a line of so many bytes to `body`, and goes on behind its break.
    private mutating func take<Result>(
        _ length: Int, _ body: (inout HTTPHead, UnsafeRawBufferPointer) throws(HTTPFault) -> Result
    ) throws(HTTPFault) -> Result {
        var head = head
        let result = buffer.withUnsafeReadableBytes { bytes in
            Swift.Result { () throws(HTTPFault) in
                try body(&head, UnsafeRawBufferPointer(rebasing: bytes[..<length]))
            }
        }
        self.head = head
        skipLine(length)
        return try result.get()
    }

    /// Its break is `\n` or `\r\n`.
    private mutating func skipLine(_ length: Int) {
        buffer.moveReaderIndex(forwardBy: length)
        if buffer.readInteger(as: UInt8.self) == UInt8(ascii: "\r") { buffer.moveReaderIndex(forwardBy: 1) }
    }

    /// Hexadecimal, with extensions after a semicolon, which are ignored.
    private static func chunkLength(_ line: UnsafeRawBufferPointer) throws(HTTPFault) -> Int {
        var length = 0
        var digits = 0
        for byte in line {
            guard let digit = Int(hexadecimal: byte) else { break }
            guard length >> 58 == 0 else { throw .bad("a chunk's length is too large") }
            length = length << 4 | digit
            digits += 1
        }
        let rest = line.dropFirst(digits).drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard digits > 0, rest.isEmpty || rest.first == UInt8(ascii: ";"), rest.allSatisfy(HTTPHead.isInValue) else {
            throw .bad("a chunk's length is no hexadecimal number")
        }
        return length
    }
}

extension Int {
    fileprivate init?(hexadecimal byte: UInt8) {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self = Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self = Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self = Int(byte - UInt8(ascii: "A")) + 10
        default: return nil
        }
    }
}
