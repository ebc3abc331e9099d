/// What a client sent in one piece: a request, or a batch of them (JSON-RPC 2.0).
public enum RPCMessage: Sendable {
    case single(RPCRequest)
    /// At least one, at most `maximumBatch`.
    case batch([RPCRequest])
    /// Not answered call by call: no JSON, an empty batch, too large a one. The answer has a null id.
    case invalid(APIError)

    /// Calls in one batch.
    public static let maximumBatch = 1000
    /// Bytes of one message.
    public static let maximumBytes = 1 << 20

    /// Parses one message. The whole text is checked before any of its calls is decoded, so that a text that is not
    /// JSON has no effect. Never throws: what is wrong becomes the answer.
    public init(parsing text: UnsafeRawBufferPointer) {
        var reader = JSONReader(text)
        do throws(JSONError) {
            if try reader.peek() == .array {
                var requests: [RPCRequest] = []
                try reader.beginArray()
                var isFirst = true
                while try reader.nextElement(&isFirst) {
                    guard requests.count < Self.maximumBatch else {
                        self = .invalid(.batchTooLarge)
                        return
                    }
                    requests.append(try RPCRequest(from: &reader))
                }
                try reader.finish()
                for index in requests.indices { requests[index].decodeCall(in: text) }
                self = requests.isEmpty ? .invalid(.invalidRequest("the batch is empty")) : .batch(requests)
            } else {
                var request = try RPCRequest(from: &reader)
                try reader.finish()
                request.decodeCall(in: text)
                self = .single(request)
            }
        } catch {
            self = .invalid(APIError(.invalidArgument, reason: "ParseError", "not JSON: \(error)", code: -32700))
        }
    }
}

/// One request of a message, and what it asks for - or why it can't be asked.
public struct RPCRequest: Sendable {
    /// As it was written, to be echoed exactly; nil for a notification, which is never answered.
    public var id: JSONText?
    public var call: Result<Call, APIError>

    private var method: Method?
    /// Where `params` lies in the message's text.
    private var params: Range<Int>?

    public init(id: JSONText?, call: Result<Call, APIError>) {
        self.id = id
        self.call = call
    }

    static let nullID = JSONText(unchecked: Array("null".utf8))

    /// Reads the envelope. Throws only where the text is not JSON; a request that is none becomes its own answer.
    init(from reader: inout JSONReader) throws(JSONError) {
        call = .failure(.invalidRequest("a request is an object"))
        id = Self.nullID
        guard try reader.peek() == .object else {
            try reader.skipValue()
            return
        }
        var id: JSONText?
        var fault: String?
        var hasVersion = false
        var methodName: String?
        var paramsKind: JSONReader.Kind?
        try reader.beginObject()
        var isFirst = true
        while let key = try reader.nextKey(&isFirst) {
            let kind = try reader.peek()
            let start = reader.position
            switch key {
            case "jsonrpc":
                hasVersion = kind == .string ? try reader.readString() == "2.0" : false
                if kind != .string { try reader.skipValue() }
            case "method":
                if kind == .string { methodName = try reader.readString() } else { try reader.skipValue() }
            case "id":
                let text = try reader.readText()
                switch kind {
                case .string, .number, .null: id = text
                default: fault = "an id is a string, a number or null"
                }
            case "params":
                try reader.skipValue()
                paramsKind = kind
                params = start..<reader.position
            default: try reader.skipValue()
            }
        }
        self.id = id
        if fault == nil, !hasVersion { fault = "the member jsonrpc must be \"2.0\"" }
        if fault == nil, methodName == nil { fault = "the member method must be a string" }
        if fault == nil, let paramsKind, paramsKind != .object, paramsKind != .array {
            fault = "the member params must be an object"
        }
        if let fault {
            // It can't be told to be a notification, so that it is answered.
            self.id = id ?? Self.nullID
            call = .failure(.invalidRequest(fault))
        } else if paramsKind == .array {
            call = .failure(.invalidParams("params is an object here: name each member"))
        } else if let methodName {
            method = Method(rawValue: methodName)
            if method == nil { call = .failure(.methodNotFound(methodName)) }
        }
    }

    /// Decodes `params` once the whole message is known to be JSON.
    mutating func decodeCall(in text: UnsafeRawBufferPointer) {
        guard let method else { return }
        do throws(APIError) {
            call = .success(
                try Call.decode(method, params.map { UnsafeRawBufferPointer(rebasing: text[$0]) }))
        } catch {
            call = .failure(error)
        }
    }
}

extension APIError {
    static func invalidRequest(_ message: String) -> APIError {
        APIError(.invalidArgument, reason: "InvalidRequest", "not a JSON-RPC 2.0 request: \(message)", code: -32600)
    }

    static func methodNotFound(_ name: String) -> APIError {
        APIError(
            .notFound, reason: "MethodNotFound",
            "no method \"\(name.prefix(100))\"; rpc.discover lists the methods", code: -32601)
    }

    static let batchTooLarge = APIError(
        .resourceExhausted, reason: "BatchTooLarge",
        "a batch holds at most \(RPCMessage.maximumBatch) calls; send it in parts")

    /// A message past `RPCMessage.maximumBytes`.
    public static let messageTooLarge = APIError(
        .resourceExhausted, reason: "MessageTooLarge",
        "a message holds at most \(RPCMessage.maximumBytes) bytes; send it in parts")
}
