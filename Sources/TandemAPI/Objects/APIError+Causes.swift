extension APIError {
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

    /// The object is invalid: kube-apiserver's 422. The message says how many faults there are where not
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
