import Addressing

extension Holding {
    /// An address as such, a subnet with its length.
    var rangeText: String { address?.description ?? range.description }

    /// The `holdings` column: `clusterIP=10.96.0.7 clusterIP=fd00:10:96::7`.
    static func text(_ holdings: [Holding]) -> String {
        holdings.map { "\($0.pool.word)=\($0.rangeText)" }.joined(separator: " ")
    }

    /// nil where the text is not what `text` wrote.
    static func parse(_ text: String) -> [Holding]? {
        var holdings: [Holding] = []
        for part in text.split(separator: " ") {
            guard let equals = part.firstIndex(of: "="),
                let pool = Pool.allCases.first(where: { $0.word == part[..<equals] })
            else { return nil }
            let range = part[part.index(after: equals)...]
            if let address = IPAddress(range) {
                holdings.append(Holding(pool: pool, address: address))
            } else if let cidr = CIDR(String(range)) {
                holdings.append(Holding(pool: pool, range: cidr))
            } else {
                return nil
            }
        }
        return holdings
    }
}
