import Addressing

extension Holding {
    private var text: String {
        switch self {
        case .range(let pool, let range): "\(pool.word)=\(range.shortText)"
        case .port(let transport, let number): "\(Self.portWord)=\(transport.word)/\(number)"
        }
    }

    private static let portWord = "nodePort"

    /// The `holdings` column: `clusterIP=10.96.0.7 clusterIP=fd00:10:96::7 nodePort=TCP/30080`.
    static func text(_ holdings: [Holding]) -> String {
        holdings.map(\.text).joined(separator: " ")
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
        guard let equals = text.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let word = UnsafeRawBufferPointer(rebasing: text[..<equals])
        let value = UnsafeRawBufferPointer(rebasing: text[(equals + 1)...])
        guard let pool = Pool.allCases.first(where: { isText($0.word, word) }) else {
            return isText(portWord, word) ? parsePort(value) : nil
        }
        if let address = IPAddress(utf8: value) { return Holding(pool: pool, address: address) }
        return CIDR(String(decoding: value, as: UTF8.self)).map { Holding(pool: pool, range: $0) }
    }

    private static func parsePort(_ text: UnsafeRawBufferPointer) -> Holding? {
        guard let slash = text.firstIndex(of: UInt8(ascii: "/")) else { return nil }
        let word = UnsafeRawBufferPointer(rebasing: text[..<slash])
        let digits = String(decoding: text[(slash + 1)...], as: UTF8.self)
        guard let transport = TransportProtocol.allCases.first(where: { isText($0.word, word) }),
            let number = UInt16(digits), digits == "\(number)"
        else { return nil }
        return .port(transport, number)
    }

    private static func isText(_ word: String, _ text: UnsafeRawBufferPointer) -> Bool {
        var word = word
        return word.withUTF8 { $0.count == text.count && $0.elementsEqual(text) }
    }
}

extension Holding.Pool {
    /// As it stands in `addresses.pool` and in `holdings`.
    var word: String {
        switch self {
        case .serviceIP: "clusterIP"
        case .loadBalancerIP: "loadBalancerIP"
        case .nodeCIDR: "podCIDR"
        case .podIP: "podIP"
        }
    }
}

extension TransportProtocol {
    /// As Kubernetes writes it.
    var word: String {
        switch self {
        case .tcp: "TCP"
        case .udp: "UDP"
        case .sctp: "SCTP"
        }
    }
}
