/// The answer to one request, as bytes: `{"jsonrpc":"2.0","id":…,"result":…}` or `…"error":{…}}`.
public struct RPCReply: Sendable {
    /// Compact JSON without a line break.
    public let bytes: [UInt8]
    /// Of a batch: the bytes of the answers in it, without separators; else all.
    public let partBytes: Int

    /// `id` as the request gave it; null where it could not be read.
    public init(id: JSONText?, _ outcome: Result<CallResult, APIError>) {
        let id = id ?? RPCRequest.nullID
        switch outcome {
        case .success(let result):
            // The result is JSON already: the answer is put together from pieces, not written again.
            var bytes: [UInt8] = []
            bytes.reserveCapacity(Self.head.count + id.bytes.count + Self.result.count + result.json.count + 1)
            bytes.append(contentsOf: Self.head)
            bytes.append(contentsOf: id.bytes)
            bytes.append(contentsOf: Self.result)
            bytes.append(contentsOf: result.json)
            bytes.append(UInt8(ascii: "}"))
            self.bytes = bytes
            partBytes = bytes.count
        case .failure(let error):
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("jsonrpc")
            writer.string("2.0")
            writer.key("id")
            writer.text(id)
            writer.key("error")
            error.write(to: &writer)
            writer.endObject()
            bytes = writer.bytes
            partBytes = bytes.count
        }
    }

    private init(bytes: [UInt8], partBytes: Int) {
        self.bytes = bytes
        self.partBytes = partBytes
    }

    /// The answer to a batch, in the order given; nil where nothing of it is to be answered.
    public static func batch(_ replies: [RPCReply]) -> RPCReply? {
        guard !replies.isEmpty else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(replies.reduce(2) { $0 + $1.bytes.count + 1 })
        bytes.append(UInt8(ascii: "["))
        for (index, reply) in replies.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: reply.bytes)
        }
        bytes.append(UInt8(ascii: "]"))
        return RPCReply(bytes: bytes, partBytes: replies.reduce(0) { $0 + $1.bytes.count })
    }

    private static let head = Array(#"{"jsonrpc":"2.0","id":"#.utf8)
    private static let result = Array(#","result":"#.utf8)
}
