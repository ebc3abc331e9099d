import Addressing
import Glibc

extension Holding {
    private static let portWord: StaticString = "nodePort"

    /// The `holdings` column: `clusterIP=10.96.0.7 clusterIP=fd00:10:96::7 nodePort=TCP/30080`. O(length).
    public static func text(_ holdings: [Holding]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(holdings.count * 48)
        append(holdings[...], to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    static func append(_ holdings: ArraySlice<Holding>, to text: inout [UInt8]) {
        for (index, holding) in zip(holdings.indices, holdings) {
            if index > holdings.startIndex { text.append(UInt8(ascii: " ")) }
            switch holding {
            case .range(let pool, let range):
                text.append(pool.word)
                text.append(UInt8(ascii: "="))
                if let address = range.singleAddress {
                    address.write(into: &text)
                } else {
                    text.append(contentsOf: range.description.utf8)
                }
            case .port(let transport, let number):
                text.append(portWord)
                text.append(UInt8(ascii: "="))
                text.append(transport.word)
                text.append(contentsOf: "/\(number)".utf8)
            }
        }
    }

    /// nil where the text is not a result of `text`.
    public static func parse(_ text: UnsafeRawBufferPointer) -> [Holding]? {
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
        guard let pool = Pool(word: word) else { return word.isText(portWord) ? parsePort(value) : nil }
        if let address = IPAddress(utf8: value) { return Holding(pool: pool, address: address) }
        return CIDR(String(decoding: value, as: UTF8.self)).map { Holding(pool: pool, range: $0) }
    }

    private static func parsePort(_ text: UnsafeRawBufferPointer) -> Holding? {
        guard let slash = text.firstIndex(of: UInt8(ascii: "/")) else { return nil }
        let word = UnsafeRawBufferPointer(rebasing: text[..<slash])
        let digits = String(decoding: text[(slash + 1)...], as: UTF8.self)
        guard let transport = TransportProtocol.allCases.first(where: { word.isText($0.word) }),
            let number = UInt16(digits), digits == "\(number)"
        else { return nil }
        return .port(transport, number)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func isText(_ word: StaticString) -> Bool {
        // Both have `count` bytes.
        count == word.utf8CodeUnitCount && (isEmpty || memcmp(baseAddress!, word.utf8Start, count) == 0)
    }
}

extension Holding.Pool {
    /// As it stands in `holdings`.
    fileprivate var word: StaticString {
        switch self {
        case .serviceIP: "clusterIP"
        case .loadBalancerIP: "loadBalancerIP"
        case .nodeCIDR: "podCIDR"
        case .podIP: "podIP"
        case .recordedIP: "recordedIP"
        }
    }

    /// Pods first, as there are the most of them.
    fileprivate init?(word: UnsafeRawBufferPointer) {
        if word.isText(Self.podIP.word) {
            self = .podIP
        } else if word.isText(Self.serviceIP.word) {
            self = .serviceIP
        } else if word.isText(Self.nodeCIDR.word) {
            self = .nodeCIDR
        } else if word.isText(Self.loadBalancerIP.word) {
            self = .loadBalancerIP
        } else if word.isText(Self.recordedIP.word) {
            self = .recordedIP
        } else {
            return nil
        }
    }
}

extension TransportProtocol {
    /// As Kubernetes writes it.
    fileprivate var word: StaticString {
        switch self {
        case .tcp: "TCP"
        case .udp: "UDP"
        case .sctp: "SCTP"
        }
    }
}

extension [UInt8] {
    package mutating func append(_ word: StaticString) {
        // A static string's bytes live as long as the process.
        append(contentsOf: UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }
}
