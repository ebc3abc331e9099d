import Glibc

extension UnsafeMutableRawPointer {
    /// Copies the bytes to this place, where there is room for them, and moves behind them.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        copyMemory(from: start, byteCount: bytes.count)
        self += bytes.count
    }
}

extension UnsafeRawBufferPointer {
    /// Byte by byte: less than 0 where this comes first, 0 where both are the same.
    @inline(__always)
    func order(to other: UnsafeRawBufferPointer) -> Int {
        // Inside of both: no more bytes than the shorter one has.
        if let base = baseAddress, let otherBase = other.baseAddress {
            let order = memcmp(base, otherBase, Swift.min(count, other.count))
            if order != 0 { return Int(order) }
        }
        return count - other.count
    }
}
