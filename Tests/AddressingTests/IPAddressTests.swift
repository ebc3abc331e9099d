import Addressing
import Glibc
import TestSupport
import Testing

/// The C library's reading and printing of addresses: slow, old, and not written by us.
private enum Twin {
    static func parse(_ text: [UInt8], family: IPFamily) -> UInt128? {
        guard !text.contains(0) else { return nil }
        var octets = [UInt8](repeating: 0, count: 16)
        let terminated = text.map { CChar(bitPattern: $0) } + [0]
        guard inet_pton(family == .ipv4 ? AF_INET : AF_INET6, terminated, &octets) == 1 else { return nil }
        return octets.prefix(family.addressBits / 8).reduce(0) { $0 << 8 | UInt128($1) }
    }

    static func parse(_ text: [UInt8]) -> IPAddress? {
        if let bits = parse(text, family: .ipv4) { return IPAddress(family: .ipv4, bits: bits) }
        guard let bits = parse(text, family: .ipv6) else { return nil }
        return bits >> 32 == 0xffff
            ? IPAddress(family: .ipv4, bits: bits & 0xffff_ffff) : IPAddress(family: .ipv6, bits: bits)
    }

    static func print(_ address: IPAddress) -> String {
        let octets = (0..<address.family.addressBits / 8).reversed().map {
            UInt8(truncatingIfNeeded: address.bits >> ($0 * 8))
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = inet_ntop(address.family == .ipv4 ? AF_INET : AF_INET6, octets, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Random bits with many zero groups, so that `::` is met in all its places.
private func randomAddress(_ random: inout SeededGenerator) -> IPAddress {
    if Bool.random(using: &random) {
        return IPAddress(family: .ipv4, bits: UInt128(UInt32.random(in: 0...(.max), using: &random)))
    }
    var bits: UInt128 = 0
    for _ in 0..<8 {
        let group: UInt16 =
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1: 0
            case 2: UInt16.random(in: 0...15, using: &random)
            default: UInt16.random(in: 0...(.max), using: &random)
            }
        bits = bits << 16 | UInt128(group)
    }
    return IPAddress(family: .ipv6, bits: bits)
}

@Suite struct IPAddressTests {
    @Test(arguments: [
        "0.0.0.0", "255.255.255.255", "10.96.0.1", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "fd00:10:96::a",
        "1:2:3:4:5:6:7:0", "0:2:3:4:5:6:7:8", "2001:db8::1:0:0:1", "2001:db8:0:1:1:1:1:1", "1:0:0:2::",
        "64:ff9b::102:304",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ])
    func canonicalTextIsKept(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == text)
        #expect("\(address)" == text)
        #expect(address.family == (text.contains(":") ? .ipv6 : .ipv4))
    }

    @Test(arguments: [
        ("FD00::ABCD", "fd00::abcd"), ("0:0:0:0:0:0:0:0", "::"), ("0001:0:0:0:0:0:0:01", "1::1"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"), ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:0a00:0001", "10.0.0.1"), ("0:0:0:0:0:ffff:10.0.0.1", "10.0.0.1"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("::1.2.3.4", "::102:304"), ("::0", "::"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ])
    func otherFormsArePrintedCanonically(_ text: String, _ canonical: String) throws {
        #expect(try #require(IPAddress(text)).description == canonical)
    }

    @Test(arguments: [
        "", " ", ".", ":", "1", "1.2.3", "1.2.3.4.5", "1.2.3.4.", ".1.2.3.4", "1..3.4", "01.2.3.4", "1.2.3.04",
        "00.0.0.0",
        "256.1.1.1", "1.2.3.1000", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n", "1.2.3.4\0", "+1.2.3.4", "0x1.2.3.4", "1,2,3,4",
        "1.2.3.4/8", "1.2.3.4:80", "١.2.3.4", ":::", "::1::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "12345::", "00001::", "g::", ":1", "1:",
        "1:2:3:4:5:6:7:",
        ":1:2:3:4:5:6:7:8", "fe80::1%eth0", "[::1]", "::1.2.3", "::1.2.3.4.5", "::1.2.3.256", "::1.2.3.04", "1.2.3.4::",
        "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::1 ", "::\0", "1:2:3:4:5:6:7:8:", "::ffff:1.2.3.4%1", "1::2:",
        "1:::2",
    ])
    func whatIsNotAnAddressIsRefused(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func printingAndParsingAgreeWithTheCLibrary() {
        for seed in UInt64(1)...8 {
            var random = SeededGenerator(seed: seed)
            for _ in 0..<2_000 {
                let address = randomAddress(&random)
                let text = address.description
                #expect(Twin.parse(Array(text.utf8), family: address.family) == address.bits, "seed \(seed): \(text)")
                // The C library still prints the deprecated IPv4-compatible form ::a.b.c.d, which RFC 5952 does not ask for.
                let isCompatible = address.family == .ipv6 && address.bits >> 32 == 0
                if !isCompatible { #expect(text == Twin.print(address), "seed \(seed)") }
                if address.bits >> 32 != 0xffff { #expect(IPAddress(text) == address, "seed \(seed): \(text)") }
                var bytes = Array("[".utf8)
                address.write(into: &bytes)
                #expect(bytes == Array("[\(text)".utf8), "seed \(seed)")
            }
        }
    }

    /// Valid texts with a few bytes changed, taken out or put in: close enough to an address to reach every check.
    @Test func mutilatedTextsAreReadAsTheCLibraryReadsThem() {
        let alphabet = Array("0123456789abcdfF:::...%/ g\u{0}".utf8)
        var accepted = 0
        for seed in UInt64(1)...8 {
            var random = SeededGenerator(seed: seed)
            for _ in 0..<5_000 {
                var text = Array(randomAddress(&random).description.utf8)
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let at = Int.random(in: 0...text.count, using: &random)
                    let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: text.insert(byte, at: at)
                    case 1 where at < text.count: text.remove(at: at)
                    case 2 where at < text.count: text[at] = byte
                    default: break
                    }
                }
                let expected = Twin.parse(text)
                accepted += expected == nil ? 0 : 1
                let shown = String(decoding: text, as: UTF8.self)
                #expect(IPAddress(utf8: text) == expected, "seed \(seed): \(shown)")
                #expect(text.withUnsafeBytes { IPAddress(utf8: $0) } == expected, "seed \(seed): \(shown)")
                #expect(IPAddress(utf8: text.lazy.map { $0 }) == expected, "seed \(seed): \(shown)")
            }
        }
        #expect(accepted > 1_000)
    }

    @Test func arithmeticStopsAtTheEndOfTheFamily() throws {
        let lastIPv4 = try #require(IPAddress("255.255.255.255"))
        let lastIPv6 = try #require(IPAddress("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
        #expect(lastIPv4.advanced(by: 0) == lastIPv4)
        #expect(lastIPv4.advanced(by: 1) == nil)
        #expect(lastIPv4.advanced(by: .max) == nil)
        #expect(lastIPv6.advanced(by: 1) == nil)
        #expect(lastIPv6.advanced(by: .max) == nil)
        #expect(IPAddress("::")?.advanced(by: .max) == lastIPv6)
        #expect(IPAddress("10.0.0.255")?.advanced(by: 1)?.description == "10.0.1.0")
        #expect(IPAddress("::ffff:ffff:ffff:ffff")?.advanced(by: 1)?.description == "0:0:0:1::")
    }

    @Test func ordersByFamilyThenNumber() {
        let sorted = ["0.0.0.1", "255.255.255.255", "::", "::1", "0:0:0:1::", "1::"].compactMap { IPAddress($0) }
        #expect(sorted.count == 6)
        for seed in UInt64(1)...20 {
            var random = SeededGenerator(seed: seed)
            #expect(sorted.shuffled(using: &random).sorted() == sorted, "seed \(seed)")
        }
    }

    @Test func isCompact() {
        #expect(MemoryLayout<IPAddress>.stride == 24)
        #expect(MemoryLayout<CIDR>.stride == 24)
    }
}
