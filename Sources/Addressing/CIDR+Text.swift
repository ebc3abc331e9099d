extension CIDR {
    /// Why a text is not a range.
    public struct ParseError: Error, Hashable, Sendable, CustomStringConvertible {
        /// The kind of a fault. The set is open: later versions may add to it.
        public struct Code: Hashable, Sendable, CustomStringConvertible {
            public let description: String

            private init(_ name: String) { description = name }

            /// Not an address, a slash and a number. An IPv4-mapped IPv6 network counts as such a text.
            public static let notCIDR = Code("notCIDR")
            /// The number after the slash is none, has a leading zero, or is above the family's width.
            public static let badPrefix = Code("badPrefix")
            /// A bit below the prefix is set.
            public static let hostBitsSet = Code("hostBitsSet")
        }

        public let code: Code
        /// The fault and its cure, fit to follow the refused text and a colon.
        public let message: String
        /// Where host bits are set, the range that was most likely meant.
        public let corrected: CIDR?

        public var description: String { message }

        private init(_ code: Code, _ message: String, corrected: CIDR? = nil) {
            self.code = code
            self.message = message
            self.corrected = corrected
        }

        static let notCIDR = ParseError(
            .notCIDR,
            "not a CIDR; write a network address and a prefix length, such as 10.96.0.0/16 or fd00:10:96::/112")

        static func badPrefix(maximum: Int) -> ParseError {
            ParseError(.badPrefix, "the prefix length must be a number from 0 to \(maximum)")
        }

        static func hostBitsSet(corrected: CIDR) -> ParseError {
            ParseError(.hostBitsSet, "host bits are set; write \(corrected)", corrected: corrected)
        }
    }

    /// Reads `address/length`, where no bit of the address is set below the prefix. O(length of the text).
    public init(parsing text: some StringProtocol) throws(ParseError) {
        try self.init(parsing: text) { IPAddress($0) }
    }

    /// As ``init(parsing:)``, but zeros may stand in front of a dotted quad's fields: as Kubernetes reads the ranges in its objects.
    public init(parsingZeroPadded text: some StringProtocol) throws(ParseError) {
        try self.init(parsing: text) { IPAddress(zeroPadded: $0) }
    }

    private init(
        parsing text: some StringProtocol, _ address: (Substring) -> IPAddress?
    ) throws(ParseError) {
        let bytes = text.utf8
        guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")) else { throw .notCIDR }
        let addressText = bytes[..<slash]
        guard let address = address(Substring(text[..<slash])) else { throw .notCIDR }
        // A mapped network's length would count from the IPv6 start, the parsed address's from the IPv4 start.
        guard address.family == .ipv6 || !addressText.contains(UInt8(ascii: ":")) else { throw .notCIDR }
        let maximum = address.family.addressBits
        guard let length = Self.prefixLength(bytes[bytes.index(after: slash)...]), length <= maximum else {
            throw .badPrefix(maximum: maximum)
        }
        self.init(containing: address, prefixLength: length)
        guard network == address else { throw .hostBitsSet(corrected: self) }
    }

    /// One to three decimal digits without a leading zero.
    private static func prefixLength(_ bytes: some Collection<UInt8>) -> Int? {
        guard (1...3).contains(bytes.count), bytes.count == 1 || bytes.first != UInt8(ascii: "0") else { return nil }
        var length = 0
        for byte in bytes {
            guard let digit = decimalDigit(byte) else { return nil }
            length = length * 10 + Int(digit)
        }
        return length
    }
}

extension CIDR: LosslessStringConvertible {
    /// As ``init(parsing:)``, with nil for every fault.
    public init?(_ text: some StringProtocol) {
        do throws(ParseError) {
            try self.init(parsing: text)
        } catch {
            return nil
        }
    }

    private static let maximumTextBytes = IPAddress.maximumTextBytes + 4

    /// The network as ``IPAddress`` prints it, a slash, the prefix length.
    public var description: String {
        String(unsafeUninitializedCapacity: Self.maximumTextBytes) { buffer in
            var text = TextWriter(buffer)
            text.append(self)
            return text.count
        }
    }

    /// Appends ``description`` as UTF-8. O(1); allocates only if `bytes` must grow.
    public func write(into bytes: inout [UInt8]) {
        withUTF8 { bytes.append(contentsOf: $0) }
    }

    /// Calls `body` with ``description`` as UTF-8, held on the stack. The pointer must not escape the call.
    public func withUTF8<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.maximumTextBytes) { buffer in
            var text = TextWriter(buffer)
            text.append(self)
            return try body(UnsafeBufferPointer(rebasing: buffer[..<text.count]))
        }
    }
}

extension TextWriter {
    fileprivate mutating func append(_ range: CIDR) {
        append(range.network)
        append(byte: UInt8(ascii: "/"))
        append(decimal: UInt8(range.prefixLength))
    }
}
