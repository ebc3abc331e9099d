/// One message of a client: a request, or a batch of them (JSON-RPC 2.0).
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

    /// Whether a caller may call a method, decided before `params` are decoded: throws the refusal. The object of the call
    /// is looked for only where the function asks for it.
    ///
    /// It is a first look, which spares the work: a call that was decoded is to be judged by its `target` once more.
    public typealias Admission = (_ method: Method, _ target: () -> CallTarget) throws(APIError) -> Void

    /// Parses one message. The whole text is checked before any of its calls is run, so that a text that is not
    /// JSON has no effect. Never throws: a fault becomes the answer.
    ///
    /// Of a call that `admit` refuses, `params` are only passed over. O(length).
    public init(parsing text: UnsafeRawBufferPointer, admitting admit: Admission = { _, _ in }) {
        var reader = JSONReader(text)
        do throws(JSONError) {
            if try reader.peek() == .array {
                var requests: [RPCRequest] = []
                try reader.beginArray()
                var count = 0
                while try reader.nextElement(&count) {
                    guard requests.count < Self.maximumBatch else {
                        self = .invalid(.batchTooLarge)
                        return
                    }
                    requests.append(try RPCRequest(from: &reader, admit))
                }
                try reader.finish()
                self = requests.isEmpty ? .invalid(.invalidRequest("the batch is empty")) : .batch(requests)
            } else {
                let request = try RPCRequest(from: &reader, admit)
                try reader.finish()
                self = .single(request)
            }
            // Beside `params`, where it is the call's own fault.
            if let fault = reader.excessFault { self = .invalid(.invalidRequest("\(fault)")) }
        } catch {
            self = .invalid(APIError(.invalidArgument, reason: "ParseError", "not JSON: \(error)", code: -32700))
        }
    }
}

/// One request of a message, with its call - or its fault.
public struct RPCRequest: Sendable {
    /// As it was written, to be echoed exactly; nil for a notification, which is never answered.
    public var id: JSONText?
    /// As the request names it, even where it can't be called so; nil where there is none of that name.
    public var method: Method?
    public var call: Result<Call, APIError>

    public init(id: JSONText?, method: Method?, call: Result<Call, APIError>) {
        self.id = id
        self.method = method
        self.call = call
    }

    static let nullID = JSONText(unchecked: Array("null".utf8))

    /// Reads one request. Throws only where the text is not JSON; a request that is none becomes its own answer.
    init(from reader: inout JSONReader, _ admit: RPCMessage.Admission) throws(JSONError) {
        guard try reader.peek() == .object else {
            try reader.skipValue()
            self.init(id: Self.nullID, method: nil, call: .failure(.notAnObject))
            return
        }
        let envelope = try Envelope(from: &reader, admit)
        if let fault = envelope.fault {
            // It can't be told to be a notification, so that it is answered.
            self.init(id: envelope.id ?? Self.nullID, method: nil, call: .failure(.invalidRequest(fault)))
        } else {
            self.init(id: envelope.id, method: envelope.method, call: envelope.call(in: reader.text, admit))
        }
    }
}

extension Method {
    private static let all = Array(allCases)

    fileprivate init?(_ name: JSONKey) {
        guard let method = Self.all.first(where: { name.equals($0.rawValue) }) else { return nil }
        self = method
    }
}

/// The members of one request, as they were written.
private struct Envelope {
    var id: JSONText?
    private var hasVersion = false
    private var methodName: JSONStringScan?
    private(set) var method: Method?
    private var paramsKind: JSONReader.Kind?
    /// Where `params` lies in the message's text.
    private var params: Range<Int>?
    /// `params` decoded on the way, where the method's name came before them and nothing was wrong.
    private var decoded: Call?
    private var hasWrongID = false

    init(from reader: inout JSONReader, _ admit: RPCMessage.Admission) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            let kind = try reader.peek()
            switch key {
            case "jsonrpc":
                hasVersion =
                    try Self.readScan(kind, &reader).map { JSONKey(text: reader.text, scan: $0).matches("2.0") }
                    ?? false
            case "method":
                decoded = nil
                methodName = try Self.readScan(kind, &reader)
                method = methodName.flatMap { Method(JSONKey(text: reader.text, scan: $0)) }
            case "id":
                let text = try reader.readText()
                switch kind {
                case .string, .number, .null: id = text
                default: hasWrongID = true
                }
            case "params": try readParams(kind, &reader, admit)
            default: try reader.skipValue()
            }
        }
    }

    /// The next value where it is a string; else it is passed over.
    private static func readScan(
        _ kind: JSONReader.Kind, _ reader: inout JSONReader
    ) throws(JSONError) -> JSONStringScan? {
        if kind == .string { return try reader.scanString() }
        try reader.skipValue()
        return nil
    }

    private mutating func readParams(
        _ kind: JSONReader.Kind, _ reader: inout JSONReader, _ admit: RPCMessage.Admission
    ) throws(JSONError) {
        let start = reader
        paramsKind = kind
        decoded = nil
        if let method, kind == .object, Self.isAdmitted(by: admit, method, start) {
            decoded = Call.decode(method, &reader)
        }
        if decoded == nil {
            reader = start
            try reader.skipValueOfAnySize()
        }
        params = start.position..<reader.position
    }

    private static func isAdmitted(by admit: RPCMessage.Admission, _ method: Method, _ params: JSONReader) -> Bool {
        do throws(APIError) {
            try admit(method) { CallTarget(scanning: params, of: method) }
            return true
        } catch {
            return false
        }
    }

    /// Why this is no request.
    var fault: String? {
        if hasWrongID { return "an id is a string, a number or null" }
        if !hasVersion { return "the member jsonrpc must be \"2.0\"" }
        if methodName == nil { return "the member method must be a string" }
        if let paramsKind, paramsKind != .object, paramsKind != .array {
            return "the member params must be an object"
        }
        return nil
    }

    func call(in text: UnsafeRawBufferPointer, _ admit: RPCMessage.Admission) -> Result<Call, APIError> {
        if let decoded { return .success(decoded) }
        guard let method else {
            return .failure(.methodNotFound((try? methodName?.string(in: text)) ?? ""))
        }
        let params = params.map { UnsafeRawBufferPointer(rebasing: text[$0]) }
        return Result { () throws(APIError) in
            try admit(method) { params.map { CallTarget(scanning: JSONReader($0), of: method) } ?? CallTarget() }
            guard paramsKind != .array else { throw .invalidParams("params is an object here: name each member") }
            return try Call.decode(method, params)
        }
    }
}

extension APIError {
    static func invalidRequest(_ message: String) -> APIError {
        APIError(.invalidArgument, reason: "InvalidRequest", "not a JSON-RPC 2.0 request: \(message)", code: -32600)
    }

    static let notAnObject = invalidRequest("a request is an object")

    static func methodNotFound(_ name: String) -> APIError {
        APIError(
            .notFound, reason: "MethodNotFound",
            "no method \"\(String(name.unicodeScalars.prefix(100)))\"; rpc.discover lists the methods", code: -32601)
    }

    static let batchTooLarge = APIError(
        .resourceExhausted, reason: "BatchTooLarge",
        "a batch holds at most \(RPCMessage.maximumBatch) calls; send it in parts")

    /// A message longer than it may be: `RPCMessage.maximumBytes`, less without a client certificate.
    public static func messageTooLarge(maximum: Int) -> APIError {
        APIError(
            .resourceExhausted, reason: "MessageTooLarge", "a message holds at most \(maximum) bytes; send it in parts")
    }
}
