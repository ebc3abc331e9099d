/// The answer to one request, or to a batch: `{"jsonrpc":"2.0","id":…,"result":…}` or `…"error":{…}}`.
///
/// Kept in the pieces that it consists of until it is written: a result is copied once on its way to the socket.
public struct RPCReply: Sendable {
    private enum Content: Sendable {
        case result(id: JSONText, [UInt8])
        case error([UInt8])
        case batch([RPCReply])
    }

    private let content: Content
    /// Its length in bytes.
    public let byteCount: Int

    /// `id` as the request gave it; null where it could not be read.
    public init(id: JSONText?, _ outcome: Result<CallResult, APIError>) {
        let id = id ?? RPCRequest.nullID
        switch outcome {
        case .success(let result):
            content = .result(id: id, result.json)
            byteCount =
                Self.head.utf8CodeUnitCount + id.bytes.count + Self.result.utf8CodeUnitCount + result.json.count
                + Self.tail.utf8CodeUnitCount
        case .failure(let error):
            let bytes = JSONWriter.text { writer in
                writer.beginObject()
                writer.key("jsonrpc")
                writer.string("2.0")
                writer.key("id")
                writer.text(id)
                writer.key("error")
                error.write(to: &writer)
                writer.endObject()
            }
            content = .error(bytes)
            byteCount = bytes.count
        }
    }

    private init(batch replies: [RPCReply]) {
        content = .batch(replies)
        byteCount = replies.reduce(1) { $0 + $1.byteCount + 1 }
    }

    /// The answer to a batch, in the order given; nil where nothing of it is to be answered.
    public static func batch(_ replies: [RPCReply]) -> RPCReply? {
        replies.isEmpty ? nil : RPCReply(batch: replies)
    }

    /// Of a batch: the bytes of the answers in it, without separators; else all.
    public var partBytes: Int {
        guard case .batch(let replies) = content else { return byteCount }
        return byteCount - replies.count - 1
    }

    /// Compact JSON without a line break. O(length).
    public var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            count = write(to: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Writes the text to memory that has room for `byteCount` bytes, and returns these. O(length).
    @discardableResult
    public func write(to memory: UnsafeMutableRawBufferPointer) -> Int {
        var target = Target(memory)
        write(to: &target)
        assert(target.count == byteCount)
        return target.count
    }

    private func write(to target: inout Target) {
        switch content {
        case .result(let id, let json):
            target.put(Self.head)
            target.put(id.bytes)
            target.put(Self.result)
            target.put(json)
            target.put(Self.tail)
        case .error(let bytes): target.put(bytes)
        case .batch(let replies):
            var separator: StaticString = "["
            for reply in replies {
                target.put(separator)
                reply.write(to: &target)
                separator = ","
            }
            target.put("]")
        }
    }

    private static var head: StaticString { #"{"jsonrpc":"2.0","id":"# }
    private static var result: StaticString { #","result":"# }
    private static var tail: StaticString { "}" }
}

/// Memory that takes pieces one behind the other.
private struct Target {
    // Proof: lives within `RPCReply.write` alone, whose caller lends the memory; each piece is checked against what is left.
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ memory: UnsafeMutableRawBufferPointer) {
        self.memory = memory
    }

    mutating func put(_ piece: [UInt8]) { piece.withUnsafeBytes { put($0) } }

    mutating func put(_ piece: StaticString) {
        put(piece.bytes)
    }

    private mutating func put(_ piece: UnsafeRawBufferPointer) {
        precondition(piece.count <= memory.count - count, "an answer longer than its count of bytes")
        UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyMemory(from: piece)
        count += piece.count
    }
}
