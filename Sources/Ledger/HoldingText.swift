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
        for part in text.split(separator: UInt8(ascii: " ")) {
            guard let equals = part.firstIndex(of: UInt8(ascii: "=")), let pool = Pool(word: part[..<equals]) else {
                return nil
            }
            let range = UnsafeRawBufferPointer(rebasing: part[(equals + 1)...])
            if let address = IPAddress(utf8: range) {
                holdings.append(Holding(pool: pool, address: address))
            } else if let cidr = CIDR(String(decoding: range, as: UTF8.self)) {
                holdings.append(Holding(pool: pool, range: cidr))
            } else {
                return nil
            }
        }
        return holdings
    }
}

extension Holding.Pool {
    fileprivate init?(word: some Sequence<UInt8>) {
        guard let pool = Self.allCases.first(where: { word.elementsEqual($0.word.utf8) }) else { return nil }
        self = pool
    }
}
