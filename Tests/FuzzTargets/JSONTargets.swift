import TandemAPI

extension FuzzTarget {
    /// JSON is read, and nothing else; a value that is read and written again means the same, and is written the same from
    /// then on.
    static func json(_ input: UnsafeRawBufferPointer) {
        let value = try? JSONValue(parsing: input)
        precondition((value != nil) == SlowJSON.accepts(input), "JSON is refused, or what is none is read")
        guard let value else { return }
        let text = value.text.bytes
        guard let again = try? JSONValue(parsing: text) else { preconditionFailure("what was written can't be read") }
        precondition(again == value, "it means something else once it is written")
        precondition(again.text.bytes == text, "it is written in another way the second time")
        precondition(!text.contains(UInt8(ascii: "\n")), "a line break would cut the message in two")
    }

    /// Whatever comes, there is an answer that is JSON, on one line. A client without permission has no call made, and gets the same answer
    /// where there is no call.
    static func envelope(_ input: UnsafeRawBufferPointer) {
        let isJSON = (try? JSONValue(parsing: input)) != nil
        let message = RPCMessage(parsing: input)
        let refused = RPCMessage(parsing: input) { _, target throws(APIError) in
            _ = target()
            throw Self.refusal
        }
        switch (message, refused) {
        case (.invalid(let error), .invalid(let other)): precondition(error == other, "another fault for a stranger")
        case (.single(let request), .single(let other)): checkRefused(other, for: request)
        case (.batch(let requests), .batch(let others)):
            precondition(requests.count == others.count, "another number of calls for a stranger")
            for (request, other) in zip(requests, others) { checkRefused(other, for: request) }
        default: preconditionFailure("another kind of message for a stranger")
        }
        switch message {
        case .invalid(let error):
            precondition(isJSON || error.code == -32700 || error.reason == "BatchTooLarge", "no JSON, and not told so")
            check(RPCReply(id: nil, .failure(error)))
        case .single(let request):
            precondition(isJSON, "a call was made of what is no JSON")
            check(request)
        case .batch(let requests):
            precondition(isJSON, "calls were made of what is no JSON")
            precondition((1...RPCMessage.maximumBatch).contains(requests.count))
            for request in requests { check(request) }
        }
    }

    private static let refusal = APIError(.unauthenticated, reason: "Unauthorized", "")

    private static func checkRefused(_ refused: RPCRequest, for request: RPCRequest) {
        precondition(refused.id == request.id && refused.method == request.method, "another call for a stranger")
        guard case .failure(let error) = refused.call else {
            preconditionFailure("a call was made of what was refused")
        }
        if request.method != nil { precondition(error == refusal, "a call was refused for another reason") }
    }

    private static func check(_ request: RPCRequest) {
        if case .failure(let error) = request.call { check(RPCReply(id: request.id, .failure(error))) }
        check(RPCReply(id: request.id, .success(CallResult { _ in })))
    }

    private static func check(_ reply: RPCReply) {
        guard let value = try? JSONValue(parsing: reply.bytes), value["jsonrpc"] == "2.0", value["id"] != nil else {
            preconditionFailure("an answer that is none")
        }
        precondition(!reply.bytes.contains(UInt8(ascii: "\n")), "a line break would cut the answer in two")
    }

    static func service(_ input: UnsafeRawBufferPointer) {
        roundTrip(
            input, { reader throws(JSONError) in try Service(from: &reader) }, { $0.write(to: &$1) },
            PlainObjects.service)
    }

    static func pod(_ input: UnsafeRawBufferPointer) {
        roundTrip(
            input, { reader throws(JSONError) in try Pod(from: &reader) }, { $0.write(to: &$1) }, PlainObjects.pod)
    }

    static func node(_ input: UnsafeRawBufferPointer) {
        roundTrip(
            input, { reader throws(JSONError) in try Node(from: &reader) }, { $0.write(to: &$1) }, PlainObjects.node)
    }

    /// An object that was read is written as JSON from which the same object is read, written the same.
    private static func roundTrip<Object>(
        _ input: UnsafeRawBufferPointer, _ read: (inout JSONReader) throws(JSONError) -> Object,
        _ write: (Object, inout JSONWriter) -> Void, _ plain: (inout JSONReader) throws(JSONError) -> [UInt8]
    ) {
        func written(_ bytes: [UInt8]) -> [UInt8]? {
            let twin = try? JSONReader.read(bytes, plain)
            let object: Object
            do throws(JSONError) {
                object = try JSONReader.read(bytes, read)
            } catch {
                // Of the names of members that are kept as they came the twin makes no strings.
                precondition(twin == nil || "\(error)".contains("combining marks"), "an object is refused: \(error)")
                return nil
            }
            defer { precondition(JSONWriter.text { write(object, &$0) } == twin, "an object is read as another") }
            var writer = JSONWriter()
            write(object, &writer)
            return writer.bytes
        }
        guard let once = written(Array(input)) else { return }
        precondition((try? JSONValue(parsing: once)) != nil, "an object is written as what is no JSON")
        guard let twice = written(once) else { preconditionFailure("an object that was written can't be read") }
        precondition(twice == once, "an object is written in another way the second time")
    }
}
