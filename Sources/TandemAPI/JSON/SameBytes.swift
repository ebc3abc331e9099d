extension UnsafeRawBufferPointer {
    /// O(length), eight bytes at a time.
    @inlinable
    public func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard count > 0, let own = baseAddress, let other = other.baseAddress else { return true }
        // Both have as many bytes as are compared.
        var index = 0
        while index &+ 8 <= count {
            let word = own.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            guard word == other.loadUnaligned(fromByteOffset: index, as: UInt64.self) else { return false }
            index &+= 8
        }
        while index < count {
            let byte = own.load(fromByteOffset: index, as: UInt8.self)
            guard byte == other.load(fromByteOffset: index, as: UInt8.self) else { return false }
            index &+= 1
        }
        return true
    }
}

extension StaticString {
    /// Its text, of ASCII, which lives as long as the process.
    @inlinable
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}
