extension APIError {
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
        /// What was wrong with which value, and what would be right.
        public let message: String

        /// Cuts what is longer than `maximumTextBytes`.
        public init(_ field: String, _ reason: Reason, _ message: String) {
            self.field = field.cut(toBytes: Self.maximumTextBytes)
            self.reason = reason
            self.message = message.cut(toBytes: Self.maximumTextBytes)
        }
    }

    /// The faults of one object as they are found: the first ones are kept, all are counted.
    public struct Causes: Sendable, Hashable, ExpressibleByArrayLiteral {
        /// As many are named in one answer.
        public static let maximum = 32

        /// The first `maximum`, in the order in which they were found.
        public private(set) var named: [Cause] = []
        /// All of them.
        public private(set) var count = 0

        public init() {}

        public init(arrayLiteral causes: Cause...) {
            for cause in causes { append(cause) }
        }

        public var isEmpty: Bool { count == 0 }

        /// Past `maximum` the cause is not even made. O(1).
        public mutating func append(_ cause: @autoclosure () -> Cause) {
            count += 1
            if named.count < Self.maximum { named.append(cause()) }
        }

        public static func += (left: inout Causes, right: Causes) {
            // On every call's way, nearly always.
            guard !right.isEmpty else { return }
            left.named += right.named.prefix(maximum - left.named.count)
            left.count += right.count
        }

        public static func + (left: Causes, right: Causes) -> Causes {
            var sum = left
            sum += right
            return sum
        }
    }

    /// The object is not valid: what kube-apiserver answers with 422. The message says how many faults there are where not
    /// all of them are among the causes.
    public static func invalid(_ kind: ObjectKind, name: String, _ causes: Causes) -> APIError {
        let named = causes.named.count
        let part = named < causes.count ? " (the first \(named) of \(causes.count) faults)" : ""
        let faults = causes.named.map { "\($0.field): \($0.message)" }.joined(separator: "; ")
        let name = name.cut(toBytes: Cause.maximumTextBytes)
        var error = APIError(
            .invalidArgument, reason: "Invalid", "\(kind.rawValue) \"\(name)\" is invalid\(part): \(faults)")
        error.causes = causes.named
        return error
    }
}
