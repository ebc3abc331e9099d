import Addressing
import TestSupport
import Testing

@Suite struct CIDRTests {
    @Test(arguments: [
        "0.0.0.0/0", "::/0", "10.96.0.0/12", "10.0.0.1/32", "fd00:10:96::/112", "fd00::/8", "::1/128", "128.0.0.0/1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
    ])
    func canonicalTextIsKept(_ text: String) throws {
        let range = try CIDR(parsing: text)
        #expect(range.description == text)
        #expect(CIDR(text) == range)
        #expect(CIDR(network: range.network, prefixLength: range.prefixLength) == range)
        var bytes: [UInt8] = []
        range.write(into: &bytes)
        #expect(bytes == Array(text.utf8))
    }

    @Test(arguments: [
        "", "/", "10.0.0.0", "/8", "10.0.0/8", "10.0.0.0.0/8", "fe80::%1/64", " 10.0.0.0/8", "x/8",
        "::ffff:10.0.0.0/104",
        "::ffff:10.0.0.0/8", "[::]/0",
    ])
    func textThatIsNoCIDR(_ text: String) {
        #expect(faultFound(in: text)?.code == .notCIDR)
        #expect(CIDR(text) == nil)
    }

    @Test(arguments: [
        "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/00", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8 ",
        "10.0.0.0/8/8",
        "10.0.0.0/255.0.0.0", "10.0.0.0/99999999999999999999", "10.0.0.0/٨",
    ])
    func badPrefix(_ text: String) {
        #expect(faultFound(in: text)?.code == .badPrefix)
        #expect(faultFound(in: text)?.message == "the prefix length must be a number from 0 to 32")
        #expect(faultFound(in: "::/129")?.message == "the prefix length must be a number from 0 to 128")
    }

    @Test(arguments: [
        ("10.96.0.1/12", "10.96.0.0/12"), ("255.255.255.255/0", "0.0.0.0/0"), ("fd00::1/127", "fd00::/127"),
        ("1:2:3:4:5:6:7:8/64", "1:2:3:4::/64"),
    ])
    func hostBitsNameTheCure(_ text: String, _ cure: String) throws {
        let fault = try #require(faultFound(in: text))
        #expect(fault.code == .hostBitsSet)
        #expect(try fault.corrected == CIDR(parsing: cure))
        #expect("\(fault)".hasSuffix("write \(cure)"))
    }

    /// The reported fault of a text.
    private func faultFound(in text: String) -> CIDR.ParseError? {
        #expect(throws: CIDR.ParseError.self) { try CIDR(parsing: text) }
    }

    @Test func boundsAndSizes() throws {
        let all = try CIDR(parsing: "::/0")
        #expect(all.size == .max)
        #expect(all.last.bits == .max)
        #expect(all.address(at: .max) == all.last)
        #expect(all.subnetCount(prefixLength: 128) == .max)
        #expect(all.subnet(at: .max, prefixLength: 128)?.first == all.last)
        #expect(try CIDR(parsing: "0.0.0.0/0").size == 1 << 32)
        let services = try CIDR(parsing: "10.96.0.0/20")
        #expect(services.size == 4096)
        #expect(services.last.description == "10.96.15.255")
        #expect(services.address(at: 4095) == services.last)
        #expect(services.address(at: 4096) == nil)
        #expect(services.address(at: .max) == nil)
        #expect(services.offset(of: services.last) == 4095)
        #expect(IPAddress("10.96.16.0").flatMap(services.offset) == nil)
        #expect(IPAddress("::10.96.0.1").flatMap(services.offset) == nil)
        #expect(CIDR(network: services.last, prefixLength: 20) == nil)
        #expect(CIDR(network: services.first, prefixLength: 33) == nil)
        #expect(CIDR(network: services.first, prefixLength: -1) == nil)
    }

    @Test func subnetsAreNumberedFromZero() throws {
        let cluster = try CIDR(parsing: "fd00:10:244::/48")
        #expect(cluster.subnetCount(prefixLength: 64) == 65536)
        #expect(cluster.subnet(at: 0, prefixLength: 64)?.description == "fd00:10:244::/64")
        #expect(cluster.subnet(at: 65535, prefixLength: 64)?.description == "fd00:10:244:ffff::/64")
        #expect(cluster.subnet(at: 65536, prefixLength: 64) == nil)
        #expect(cluster.subnet(at: 0, prefixLength: 48) == cluster)
        #expect(cluster.subnet(at: 0, prefixLength: 47) == nil)
        #expect(cluster.subnet(at: 0, prefixLength: 129) == nil)
        #expect(cluster.subnetCount(prefixLength: 47) == 0)
        #expect(cluster.subnetCount(prefixLength: 129) == 0)
        #expect(cluster.indexOfSubnet(try CIDR(parsing: "fd00::/8")) == nil)
        #expect(cluster.indexOfSubnet(try CIDR(parsing: "fd00:10:245::/64")) == nil)
    }

    /// Small ranges, every address listed: the results of `contains`, `overlaps` and the subnets must follow from the lists.
    @Test func agreesWithListsOfAddresses() throws {
        for seed in UInt64(1)...200 {
            var random = SeededGenerator(seed: seed)
            func randomRange() throws -> (CIDR, Set<IPAddress>) {
                let family: IPFamily = Bool.random(using: &random) ? .ipv4 : .ipv6
                let address = IPAddress(
                    family: family, bits: UInt128(UInt8.random(in: 0...255, using: &random)) + 0xa00_0000)
                let length = family.addressBits - Int.random(in: 0...7, using: &random)
                let range = CIDR(containing: address, prefixLength: length)
                #expect(range.contains(address), "seed \(seed)")
                var members: Set<IPAddress> = []
                var next: IPAddress? = range.first
                while let member = next, members.count < Int(range.size) {
                    members.insert(member)
                    next = member.advanced(by: 1)
                }
                #expect(members.max() == range.last, "seed \(seed)")
                return (range, members)
            }
            let (left, leftMembers) = try randomRange()
            let (right, rightMembers) = try randomRange()
            #expect(
                left.overlaps(right) == !leftMembers.isDisjoint(with: rightMembers), "seed \(seed): \(left) \(right)")
            #expect(left.contains(right) == leftMembers.isSuperset(of: rightMembers), "seed \(seed): \(left) \(right)")
            for member in leftMembers.union(rightMembers) {
                #expect(left.contains(member) == leftMembers.contains(member), "seed \(seed): \(left) \(member)")
                #expect(left.offset(of: member).flatMap(left.address) == (leftMembers.contains(member) ? member : nil))
            }
            let length = Int.random(in: left.prefixLength...left.family.addressBits, using: &random)
            var covered: [IPAddress] = []
            for index in 0..<left.subnetCount(prefixLength: length) {
                let subnet = try #require(left.subnet(at: index, prefixLength: length), "seed \(seed)")
                #expect(left.indexOfSubnet(subnet) == index, "seed \(seed)")
                covered += (0..<subnet.size).compactMap(subnet.address)
            }
            #expect(covered == leftMembers.sorted(), "seed \(seed)")
        }
    }

    @Test func ordersByNetworkThenWidestFirst() {
        let sorted = ["10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "::/0", "fd00::/8"].compactMap { CIDR($0) }
        #expect(sorted.count == 5)
        #expect(sorted.reversed().sorted() == sorted)
    }
}

@Suite("Address ranges")
struct AddressRangeTests {
    @Test(
        "a CIDR, or first-last",
        arguments: ["192.0.2.0/28", "192.0.2.7/32", "2001:db8::7/128", "192.0.2.10-192.0.2.99", "fd00::1-fd00::1:0"])
    func readsAndWrites(_ text: String) throws {
        #expect(try #require(AddressRange(text)).description == text)
    }

    @Test(
        "text that is no address range",
        arguments: [
            "", "-", "192.0.2.7", "192.0.2.9-192.0.2.8", "192.0.2.9-fd00::1", "192.0.2.1-192.0.2.2-192.0.2.3",
            "192.0.2.0/28-192.0.2.99", "192.0.2.1 - 192.0.2.2",
        ])
    func refuses(_ text: String) { #expect(AddressRange(text) == nil) }

    /// Of small ranges everywhere, among them at the ends of the families.
    @Test("its CIDRs are it, apart from each other, and the fewest")
    func splits() throws {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<2_000 {
            let family: IPFamily = Bool.random(using: &random) ? .ipv4 : .ipv6
            let maximum = IPAddress.maximumBits(of: family)
            let start = [0, maximum - 200, UInt128(random.next()) & (maximum - 200)].randomElement(using: &random)!
            let size = UInt128.random(in: 1...200, using: &random)
            let range = try #require(
                AddressRange(
                    first: IPAddress(family: family, bits: start),
                    last: IPAddress(family: family, bits: start + size - 1)))
            let cidrs = range.cidrs
            #expect(cidrs.first?.first == range.first && cidrs.last?.last == range.last, "\(range)")
            for (left, right) in zip(cidrs, cidrs.dropFirst()) {
                #expect(left.last.bits + 1 == right.first.bits, "\(range)")
                // Two halves of one CIDR would be one.
                #expect(
                    left.prefixLength != right.prefixLength
                        || CIDR(containing: left.first, prefixLength: left.prefixLength - 1)
                            != CIDR(containing: right.first, prefixLength: right.prefixLength - 1),
                    "\(range)")
            }
        }
        let all = try #require(AddressRange("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
        #expect(all.cidrs.map(\.description) == ["::/1", "8000::/1"])
    }
}

@Suite("Zeros in front")
struct ZeroPaddedTests {
    @Test("decimal as Kubernetes reads them, refused elsewhere")
    func reads() throws {
        #expect(IPAddress(zeroPadded: "10.96.011.0012") == IPAddress("10.96.11.12"))
        #expect(IPAddress(zeroPadded: "::ffff:010.0.0.1") == IPAddress("10.0.0.1"))
        #expect(IPAddress(zeroPadded: "10.96.0256.1") == nil)
        #expect(IPAddress("10.96.011.012") == nil)
        #expect(try CIDR(parsingZeroPadded: "10.096.0.0/16") == CIDR("10.96.0.0/16"))
        #expect(CIDR("10.096.0.0/16") == nil)
    }
}
