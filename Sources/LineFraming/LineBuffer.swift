import Glibc
public import NIOCore

/// Cuts a stream of bytes into lines. Each byte is looked at once, however it arrives.
public struct LineBuffer: Sendable {
    public enum Next: Sendable {
        /// No whole line is here yet.
        case none
        /// Without its line break (`\n` or `\r\n`); never empty.
        case line(ByteBuffer)
        /// The line is longer than the maximum; nothing can be read after it.
        case tooLong
    }

    private let maximumBytes: Int
    private var buffer = ByteBuffer()
    /// Bytes from the start of `buffer` that hold no line break.
    private var searched = 0
    private var isBroken = false

    /// Lines of at most so many bytes, their break not counted.
    public init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// Memory that the line which is not whole takes, in bytes: at most twice its length, or as much as came with its start.
    public var storedBytes: Int { buffer.storageCapacity }

    /// Lets go of everything, and takes nothing more.
    public mutating func close() {
        isBroken = true
        buffer = ByteBuffer()
    }

    public mutating func append(_ bytes: ByteBuffer) {
        guard !isBroken else { return }
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            var bytes = bytes
            buffer.writeBuffer(&bytes)
        }
    }

    public mutating func next() -> Next {
        guard !isBroken else { return .none }
        while true {
            let newline = buffer.withUnsafeReadableBytes { $0.firstIndex(of: UInt8(ascii: "\n"), from: searched) }
            guard let length = newline else {
                searched = buffer.readableBytes
                if searched > maximumBytes { return fail() }
                // A buffer that is merely cleared keeps its memory, for as long as the client is silent.
                if searched == 0 { buffer = ByteBuffer() } else { buffer.discardReadBytes() }
                return .none
            }
            guard length <= maximumBytes, var line = buffer.readSlice(length: length) else { return fail() }
            buffer.moveReaderIndex(forwardBy: 1)
            searched = 0
            if line.readableBytesView.last == UInt8(ascii: "\r") {
                line.moveWriterIndex(to: line.writerIndex - 1)
            }
            // An empty line is skipped: pressing return is no error.
            if line.readableBytes > 0 { return .line(line) }
        }
    }

    private mutating func fail() -> Next {
        close()
        return .tooLong
    }
}

extension UnsafeRawBufferPointer {
    /// By `memchr`, which looks at 32 bytes at a time.
    fileprivate func firstIndex(of byte: UInt8, from start: Int) -> Int? {
        guard let base = baseAddress, start < count, let found = memchr(base + start, Int32(byte), count - start) else {
            return nil
        }
        return UnsafeRawPointer(found) - base
    }
}
