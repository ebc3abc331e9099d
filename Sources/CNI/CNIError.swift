package import TandemAPI

/// An error as the specification has it: JSON on standard output, and an exit status that is not 0.
public struct CNIError: Error, Sendable, Equatable {
    /// The specification's own codes are below 100; a final refusal of the server is 100 and gRPC's number of its
    /// status, so that PERMISSION_DENIED is 107.
    public struct Code: Sendable, Equatable {
        public var number: Int

        public static let incompatibleVersion = Code(number: 1)
        public static let unsupportedField = Code(number: 2)
        public static let invalidEnvironment = Code(number: 4)
        public static let ioFailure = Code(number: 5)
        public static let decodingFailure = Code(number: 6)
        public static let invalidConfiguration = Code(number: 7)
        public static let tryAgainLater = Code(number: 11)
        /// STATUS: an ADD could not be served now. Containers that are there go on.
        public static let notAvailable = Code(number: 50)

        static func refused(_ status: APIError.Status) -> Code { Code(number: 100 + status.rawValue) }
    }

    public var code: Code
    /// One sentence with the fault and its correction.
    public var message: String
    public var details: String?

    public init(_ code: Code, _ message: String, details: String? = nil) {
        self.code = code
        self.message = message
        self.details = details
    }

    static func configuration(_ field: String, _ message: String) -> CNIError {
        CNIError(.invalidConfiguration, "\(field): \(message)")
    }

    static func environment(_ variable: String, _ message: String) -> CNIError {
        CNIError(.invalidEnvironment, "\(variable): \(message)")
    }

    /// The server's refusal. A temporary one is for the runtime to try again.
    package init(_ error: APIError) {
        // The specification asks for a message; a server that gives none is not Tandem's.
        let message = error.message.isEmpty ? "the server refused the call with \(error.status.name)" : error.message
        self.init(error.isRetryable ? .tryAgainLater : .refused(error.status), message)
        guard !error.causes.isEmpty else { return }
        details = error.causes.map { "\($0.field): \($0.message)" }.joined(separator: "; ")
    }

    /// `version` is the one that the configuration asks for, as far as it could be read.
    public func json(_ version: CNIVersion) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("cniVersion")
        writer.string(version.rawValue)
        writer.key("code")
        writer.number(code.number)
        writer.key("msg")
        writer.string(message)
        if let details {
            writer.key("details")
            writer.string(details)
        }
        writer.endObject()
        return writer.bytes
    }
}
