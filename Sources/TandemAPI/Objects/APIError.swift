public import Addressing

/// A call's refusal, as it travels in `error`: a gRPC status, Kubernetes' reason, and a sentence that a person can act on.
public struct APIError: Error, Sendable, Hashable {
    /// gRPC's status codes, as far as the contract uses them.
    public enum Status: Int, Sendable, CaseIterable {
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case `internal` = 13
        case unavailable = 14
        case unauthenticated = 16

        /// As it is written in `error.data.status`.
        public var name: String {
            switch self {
            case .invalidArgument: "INVALID_ARGUMENT"
            case .deadlineExceeded: "DEADLINE_EXCEEDED"
            case .notFound: "NOT_FOUND"
            case .alreadyExists: "ALREADY_EXISTS"
            case .permissionDenied: "PERMISSION_DENIED"
            case .resourceExhausted: "RESOURCE_EXHAUSTED"
            case .failedPrecondition: "FAILED_PRECONDITION"
            case .aborted: "ABORTED"
            case .outOfRange: "OUT_OF_RANGE"
            case .internal: "INTERNAL"
            case .unavailable: "UNAVAILABLE"
            case .unauthenticated: "UNAUTHENTICATED"
            }
        }

        /// JSON-RPC's `code`: `-32000 - N` for gRPC's code N.
        public var code: Int { -32000 - rawValue }
    }

    /// One fault, named as kube-apiserver names it in `details.causes`.
    public struct Cause: Sendable, Hashable {
        public enum Reason: String, Sendable, CaseIterable {
            case invalid = "FieldValueInvalid"
            case required = "FieldValueRequired"
            case notSupported = "FieldValueNotSupported"
            case forbidden = "FieldValueForbidden"
            case duplicate = "FieldValueDuplicate"
        }

        /// The most that a field, and a message, is long, in bytes.
        public static let maximumTextBytes = 256

        /// A path such as `spec.ipFamilies[0]`.
        public let field: String
        public let reason: Reason
        /// The fault of a value, and its correction.
        public let message: String

        /// Cuts texts longer than `maximumTextBytes`.
        public init(_ field: String, _ reason: Reason, _ message: String) {
            self.field = field.cut(toBytes: Self.maximumTextBytes)
            self.reason = reason
            self.message = message.cut(toBytes: Self.maximumTextBytes)
        }
    }

    public var status: Status
    /// JSON-RPC's own code where the fault is one of the envelope (-32700 to -32600), else that of the status.
    public var code: Int
    /// Kubernetes' reason where it has one, else a CamelCase word.
    public var reason: String
    public let message: String
    /// Whether the same call may succeed later without a change.
    public var isRetryable: Bool
    public var causes: [Cause] = []
    /// For `RangeFull`: which range has nothing left.
    public var fullRange: AddressRange?
    /// For `RangeFull` of node ports.
    public var fullPorts: ClosedRange<UInt16>?

    /// The most that a message is long, in bytes: it may quote a client's input.
    public static let maximumMessageBytes = 4096

    /// Cuts a message that is longer than `maximumMessageBytes`.
    public init(_ status: Status, reason: String, _ message: String, isRetryable: Bool = false, code: Int? = nil) {
        self.status = status
        self.code = code ?? status.code
        self.reason = reason
        self.message = message.cut(toBytes: Self.maximumMessageBytes)
        self.isRetryable = isRetryable
    }

    public static func notFound(_ kind: ObjectKind, name: String) -> APIError {
        APIError(
            .notFound, reason: "NotFound",
            "\(kind.word) \"\(name.cut(toBytes: Cause.maximumTextBytes))\" not found")
    }

    /// Nothing left to hand out in a range. Retryable: a release makes room.
    public static func rangeFull(_ range: CIDR, for what: String) -> APIError {
        rangeFull(AddressRange(range), for: what)
    }

    public static func rangeFull(_ range: AddressRange, for what: String) -> APIError {
        var error = APIError(
            .resourceExhausted, reason: "RangeFull",
            "no free \(range.family) \(what) in \(range): the range is full; "
                + "release addresses that are not in use or configure a larger range",
            isRetryable: true)
        error.fullRange = range
        return error
    }

    /// The same of node ports, which have neither family nor CIDR.
    public static func nodePortsFull(_ range: ClosedRange<UInt16>) -> APIError {
        var error = APIError(
            .resourceExhausted, reason: "RangeFull",
            "failed to allocate a nodePort: the range \(range.lowerBound)-\(range.upperBound) is full; "
                + "release addresses that are not in use or configure a larger range",
            isRetryable: true)
        error.fullPorts = range
        return error
    }

    /// Of a call whose answer is only the beginning, made where nothing can follow it.
    public static func noStream(_ method: Method) -> APIError {
        APIError(
            .failedPrecondition, reason: "NoStream",
            "\(method.rawValue) is a call of the stream (ALPN jsonrpc), by itself and with an id; over HTTP it is GET /watch"
        )
    }

    public static func unavailable(_ message: String, reason: String = "Unavailable") -> APIError {
        APIError(.unavailable, reason: reason, message, isRetryable: true)
    }
}

extension APIError {
    /// Writes the `error` member's value: `{"code":…,"message":…,"data":{…}}`.
    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("code")
        writer.number(code)
        writer.key("message")
        writer.string(message)
        writer.key("data")
        writer.beginObject()
        writer.key("status")
        writer.string(status.name)
        writer.key("reason")
        writer.string(reason)
        writer.key("retryable")
        writer.bool(isRetryable)
        if let fullRange {
            writer.key("family")
            writer.string(fullRange.family.description)
            writer.key("cidr")
            writer.string(fullRange.description)
        }
        if let fullPorts {
            writer.key("ports")
            writer.string("\(fullPorts.lowerBound)-\(fullPorts.upperBound)")
        }
        if status == .invalidArgument {
            writer.key("causes")
            writer.beginArray()
            for cause in causes {
                writer.beginObject()
                writer.key("field")
                writer.string(cause.field)
                writer.key("reason")
                writer.string(cause.reason.rawValue)
                writer.key("message")
                writer.string(cause.message)
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
        writer.endObject()
    }
}
