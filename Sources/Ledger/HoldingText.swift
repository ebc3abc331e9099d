import Addressing

extension Holding {
    /// An address as such, a subnet with its length.
    var rangeText: String { address?.description ?? range.description }

    /// The `holdings` column: `clusterIP=10.96.0.7 clusterIP=fd00:10:96::7`.
    static func text(_ holdings: [Holding]) -> String {
        holdings.map { "\($0.pool.word)=\($0.rangeText)" }.joined(separator: " ")
    }

    /// nil where the text is not what `text` wrote.
    static func parse(_ text: UnsafeRawBufferPointer) -> [Holding]? {
        var holdings: [Holding] = []
        if !text.isEmpty { holdings.reserveCapacity(2) }
        var start = 0
        while start < text.count {
            let end = text[start...].firstIndex(of: UInt8(ascii: " ")) ?? text.count
            guard let holding = parseOne(UnsafeRawBufferPointer(rebasing: text[start..<end])) else { return nil }
            holdings.append(holding)
            start = end + 1
        }
        return holdings
    }

    private static func parseOne(_ text: UnsafeRawBufferPointer) -> Holding? {
        guard let equals = text.firstIndex(of: UInt8(ascii: "=")),
            let pool = Pool(word: UnsafeRawBufferPointer(rebasing: text[..<equals]))
        else { return nil }
        let range = UnsafeRawBufferPointer(rebasing: text[(equals + 1)...])
        if let address = IPAddress(utf8: range) { return Holding(pool: pool, address: address) }
        return CIDR(String(decoding: range, as: UTF8.self)).map { Holding(pool: pool, range: $0) }
    }
}

extension Holding.Pool {
    private func isWritten(_ text: UnsafeRawBufferPointer) -> Bool {
        var word = word
        return word.withUTF8 { $0.count == text.count && $0.elementsEqual(text) }
    }

    fileprivate init?(word: UnsafeRawBufferPointer) {
        guard let pool = Self.allCases.first(where: { $0.isWritten(word) }) else { return nil }
        self = pool
    }
}
