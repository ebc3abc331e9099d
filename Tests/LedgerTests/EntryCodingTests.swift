import Addressing
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("The form of an entry")
struct EntryCodingTests {
    private func decode(_ bytes: [UInt8], isSealed: Bool = false) -> [Proposal]? {
        bytes.withUnsafeBytes { EntryCoding.decode($0, isSealed: isSealed) }
    }

    @Test("proposals survive their coding, whose size is known before", arguments: seeds, [false, true])
    func keepsProposals(_ seed: UInt64, _ isSealed: Bool) {
        var maker = ProposalMaker(seed: seed)
        for count in 0..<60 {
            let proposals = (0..<count).map { _ in maker.next() }
            let bytes = EntryCoding.encode(proposals[...], isSealed: isSealed)
            #expect(bytes.count == EntryCoding.encodedBytes(proposals[...], isSealed: isSealed))
            #expect(decode(bytes, isSealed: isSealed) == proposals, "seed \(seed)")
        }
    }

    @Test("the extremes of every number and length survive")
    func keepsExtremes() {
        let node = ObjectKey(.node, "")
        let long = StoredForm(
            document: [UInt8](repeating: 7, count: 70_000), context: [UInt8](repeating: 0, count: 128),
            holdings: [
                .port(.tcp, 0), .port(.sctp, .max), .range(.nodeCIDR, CIDR("0.0.0.0/0")!),
                .range(.podIP, CIDR("::/0")!), .range(.podIP, CIDR("255.255.255.255/32")!),
                .range(.serviceIP, CIDR("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128")!),
            ])
        var changes: [Change] = [.put(node, long), .put(ObjectKey(.pod, "é\u{1F680}\0"), StoredForm(document: []))]
        for since in [0, 1, -1, 63, 64, -64, -65, .max, .min] {
            changes.append(.cool(CIDR("10.0.0.1/32")!, node: "n", since: since))
        }
        var expectations: [Ledger.Expectation] = []
        for shift in 0..<64 {
            for number in [UInt64(1) << shift, (UInt64(1) << shift) &- 1, .max] {
                expectations.append(.unchanged(node, version: number))
                changes.append(.thaw(CIDR(containing: IPAddress("fd00::")!, prefixLength: shift), version: number))
            }
        }
        let proposals = [Proposal(expecting: expectations, changes), Proposal([]), Proposal(changes)]
        let bytes = EntryCoding.encode(proposals[...])
        #expect(bytes.count == EntryCoding.encodedBytes(proposals[...]))
        #expect(decode(bytes) == proposals)
    }

    @Test("the layout is this one, byte by byte: journals must be readable for ever")
    func isSettled() {
        let key = ObjectKey(.pod, "p")
        let proposal = Proposal(
            expecting: [
                .absent(key), .unchanged(ObjectKey(.service, "s"), version: 300), .incarnation(node: "n", created: 5),
                .nodeEmpty("n"),
            ],
            [
                .put(
                    key,
                    StoredForm(
                        document: Array("{}".utf8),
                        holdings: [
                            Holding(pool: .podIP, address: IPAddress("10.0.0.2")!),
                            .range(.nodeCIDR, CIDR("fd00::/64")!), .port(.udp, 0x1234),
                        ])),
                .delete(ObjectKey(.node, "n")), .cool(CIDR("10.0.0.0/24")!, node: "n", since: -1),
                .thaw(CIDR("10.0.0.3/32")!, version: 128), .markReleasing(node: "n"),
            ])
        let body: [UInt8] =
            [4, 1, 3, 1, 112, 2, 1, 1, 115, 0xAC, 2, 3, 1, 110, 5, 4, 1, 110]
            + [5, 1, 3, 1, 112, 2, 123, 125, 0, 3, 4, 32, 2, 0, 0, 10, 3, 128, 0, 0, 0, 0, 0, 0, 0, 0]
            + [0, 0, 0, 0, 0, 0, 0, 0xfd, 0x82, 0x34, 0x12]
            + [2, 2, 1, 110, 3, 24, 0, 0, 0, 10, 1, 110, 1, 4, 32, 3, 0, 0, 10, 0x80, 1, 5, 1, 110]
        #expect(EntryCoding.encode([proposal]) == [2, UInt8(body.count)] + body)
        #expect(EntryCoding.encode([]) == [2])
        #expect(EntryCoding.encode([], isSealed: true).count == 9)
    }

    @Test("whatever the bytes: an entry in its one form, or nothing", arguments: seeds)
    func isTotal(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var maker = ProposalMaker(seed: seed)
        func check(_ bytes: [UInt8]) {
            // Also of bytes that are no entry.
            var step = FoldStep(version: 0)
            let count = bytes.withUnsafeBytes { bytes in step.add(bytes) { $0 != 1 } }
            guard let proposals = decode(bytes) else { return }
            #expect(EntryCoding.encode(proposals[...]) == bytes, "seed \(seed): \(bytes)")
            var twin = FoldStep(version: 0)
            for (index, proposal) in proposals.enumerated() where index != 1 { twin.add(proposal) }
            #expect(count == proposals.count && step.count == twin.count && step.version == twin.version)
            let (found, expected) = (step.records, twin.records)
            #expect(found.map(\.key) == expected.map(\.key), "seed \(seed): \(bytes)")
            for (found, expected) in zip(found, expected) {
                #expect(found.row.content?.form == expected.row.content?.form, "seed \(seed): \(bytes)")
                #expect(found.row.content?.version == expected.row.content?.version)
            }
        }
        for _ in 0..<2_000 {
            check(
                [2]
                    + (0..<Int.random(in: 0...40, using: &generator)).map { _ in generator.next() }.map(
                        UInt8.init(truncatingIfNeeded:)))
        }
        for _ in 0..<10 {
            let proposals = (0..<2).map { _ in maker.next() }
            let whole = EntryCoding.encode(proposals[...])
            check(whole)
            for length in whole.indices { check(Array(whole[..<length])) }
            for _ in 0..<200 {
                var changed = whole
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    let place = Int.random(in: 0..<changed.count, using: &generator)
                    switch Int.random(in: 0..<4, using: &generator) {
                    case 0: changed[place] = UInt8(truncatingIfNeeded: generator.next())
                    case 1: changed[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    case 2: changed.insert(0xFF, at: place)
                    default: changed.remove(at: place)
                    }
                }
                check(changed)
            }
            // A cut, or a changed bit, is found by the checksum.
            let sealed = EntryCoding.encode(proposals[...], isSealed: true)
            for length in sealed.indices { #expect(decode(Array(sealed[..<length]), isSealed: true) == nil) }
            for place in sealed.indices {
                var changed = sealed
                changed[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                #expect(decode(changed, isSealed: true) == nil)
            }
        }
    }

    @Test("a count that the bytes can't keep reserves no memory")
    func checksCounts() {
        // One expectation, of 2^62 and more; changes; holdings; a document.
        let huge: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]
        for head in [[], [0], [0, 1, 1, 3, 1, 112, 0, 0], [0, 1, 1, 3, 1, 112]] as [[UInt8]] {
            let body = head + huge
            #expect(decode([2, UInt8(body.count)] + body) == nil)
        }
        #expect(decode([2] + huge) == nil)
        #expect(decode([1]) == nil && decode([3]) == nil && decode([]) == nil)
        // Numbers have one form, and 64 bits.
        #expect(decode([2, 0x82, 0, 0, 0]) == nil)
        #expect(decode([2, 2, 0, 0]) == [Proposal([])])
    }
}

@Suite("Holdings as text")
struct HoldingTextTests {
    private func parse(_ text: String) -> [Holding]? { Array(text.utf8).withUnsafeBytes { Holding.parse($0) } }

    @Test("are read as written")
    func roundTrips() {
        let holdings: [Holding] = [
            Holding(pool: .serviceIP, address: IPAddress("10.96.0.7")!), .port(.tcp, 30_080), .port(.sctp, 0),
            .port(.udp, .max), Holding(pool: .nodeCIDR, range: CIDR("fd00:10:244::/64")!),
        ]
        let text = "clusterIP=10.96.0.7 nodePort=TCP/30080 nodePort=SCTP/0 nodePort=UDP/65535 podCIDR=fd00:10:244::/64"
        #expect(Holding.text(holdings) == text)
        #expect(parse(text) == holdings)
        #expect(parse("") == [])
        #expect(holdings.map(\.pool) == [.serviceIP, nil, nil, nil, .nodeCIDR])
        #expect(holdings[0].address == IPAddress("10.96.0.7") && holdings[4].address == nil && holdings[1].range == nil)
    }

    @Test(
        "are nothing where the text is none",
        arguments: [
            "x", "=", "clusterIP", "clusterIP=", "clusterIP=10.96.0.0/33", "nodePort", "nodePort=", "nodePort=TCP",
            "nodePort=TCP/", "nodePort=tcp/1", "nodePort=TCP/65536", "nodePort=TCP/-1", "nodePort=TCP/+1",
            "nodePort=TCP/01", "nodePort=TCP/1/2", "nodePort=ICMP/1", "nodePort=10.0.0.1", "clusterIP=TCP/1", " ",
            "podIP=10.0.0.1  podIP=10.0.0.2", "nodePort=TCP/1\u{301}",
        ])
    func refuses(_ text: String) { #expect(parse(text) == nil) }
}
