import Foundation
import TestSupport
import Testing

@testable import Ledger

/// The form of a group, tested against a slow twin that reads it byte by byte, and a scan's findings in damaged segments.
@Suite("Groups in segments")
struct GroupCodingTests {
    private let epoch = Epoch(high: 0x0123_4567_89AB_CDEF, low: 42)

    private func encoded(_ group: [Proposal], first: Int64, _ epoch: Epoch) -> [UInt8] {
        let sizes = EntryCoding.Sizes(group[...])
        var bytes = [UInt8](repeating: 0xEE, count: GroupCoding.bytes(ofBody: sizes.total))
        bytes.withUnsafeMutableBytes { GroupCoding.encode(group, sizes, first: first, epoch, into: $0) }
        return bytes
    }

    private func scan(_ bytes: [UInt8], after folded: Int64 = 0) -> [SegmentScan.Found] {
        bytes.withUnsafeBytes { SegmentScan.groups(in: $0, after: folded, epoch) }
    }

    /// The bytes read by the description of the form: the numbers of the proposals, and these; nil for no group.
    private func twin(_ bytes: [UInt8], _ epoch: Epoch) -> (first: Int64, proposals: [Proposal])? {
        func number(_ range: Range<Int>) -> UInt64 { bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        func word(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
        func checksum(_ bytes: [UInt8], _ seed: UInt64) -> UInt64 {
            bytes.withUnsafeBytes { EntryBytes.checksum($0, seed: seed) }
        }
        guard bytes.count >= 32 else { return nil }
        let mark = checksum(word(epoch.high) + word(epoch.low) + bytes[8..<24], 0xcbf2_9ce4_8422_2325)
        let (count, length) = (Int(number(16..<20)), Int(number(20..<24)))
        guard number(0..<8) == mark, bytes.count >= 32 + length else { return nil }
        let body = Array(bytes[32..<32 + length])
        guard number(24..<32) == checksum(body, mark), let proposals = body.withUnsafeBytes({ EntryCoding.decode($0) }),
            proposals.count == count
        else { return nil }
        return (Int64(number(8..<16)), proposals)
    }

    @Test("groups are read as written, in whole blocks, whatever was there", arguments: seeds)
    func comesBack(_ seed: UInt64) throws {
        var maker = ProposalMaker(seed: seed)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<40 {
            let group = (0..<Int.random(in: 1...60, using: &generator)).map { _ in maker.next() }
            let first = Int64.random(in: 1...Proposal.maximumNumber, using: &generator)
            let bytes = encoded(group, first: first, epoch)
            #expect(bytes.count % GroupCoding.block == 0)
            let read = try #require(twin(bytes, epoch))
            #expect(read.first == first && read.proposals == group)
            try bytes.withUnsafeBytes { bytes in
                let header = try #require(GroupCoding.header(bytes, epoch))
                #expect(header.first == first && header.count == group.count && header.bytes == bytes.count)
                let body = try #require(GroupCoding.body(bytes, header, epoch))
                #expect(EntryCoding.decode(body) == group)
                #expect(GroupCoding.header(bytes, Epoch(high: epoch.high, low: epoch.low ^ 1)) == nil)
            }
        }
    }

    @Test("no bit of header or entry can change unnoticed")
    func noticesBits() {
        var maker = ProposalMaker(seed: 7)
        let group = (0..<3).map { _ in maker.next() }
        let bytes = encoded(group, first: 5, epoch)
        let end = 32 + EntryCoding.Sizes(group[...]).total
        for index in 0..<end {
            for bit in 0..<8 as Range<UInt8> {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                #expect(scan(damaged).isEmpty, "bit \(bit) of byte \(index)")
                #expect(twin(damaged, epoch) == nil)
            }
        }
    }

    @Test("a group that is torn anywhere is none, whatever lies behind", arguments: [512, 4096])
    func noticesTears(_ unit: Int) {
        var maker = ProposalMaker(seed: 8)
        let new = encoded((0..<120).map { _ in maker.next() }, first: 500, epoch)
        let old = encoded((0..<120).map { _ in maker.next() }, first: 100, epoch)
        let length = max(new.count, old.count) + GroupCoding.block
        func padded(_ bytes: [UInt8]) -> [UInt8] { bytes + [UInt8](repeating: 0, count: length - bytes.count) }
        let end = new.lastIndex { $0 != 0 }! + 1
        for base in [padded([]), padded(old)] {
            for cut in stride(from: 0, through: new.count, by: unit) {
                var torn = base
                torn.replaceSubrange(..<cut, with: new[..<cut])
                let isWhole = cut >= end
                #expect(scan(torn, after: 400).map(\.header.first) == (isWhole ? [500] : []), "cut at \(cut)")
                // The other way round: the beginning is lost.
                var headless = padded(new)
                headless.replaceSubrange(..<cut, with: base[..<cut])
                #expect(scan(headless, after: 400).map(\.header.first) == (cut == 0 ? [500] : []), "begins at \(cut)")
            }
        }
    }

    @Test("a scan finds each group behind a number and the one that ends with it, at whatever block it begins")
    func findsGroups() {
        var maker = ProposalMaker(seed: 9)
        var bytes = [UInt8](repeating: 0, count: GroupCoding.block)
        var places: [(first: Int64, offset: Int)] = []
        for first in [30, 10, 40, 20] as [Int64] {
            places.append((first, bytes.count))
            bytes += encoded((0..<10).map { _ in maker.next() }, first: first, epoch)
            bytes += [UInt8](repeating: UInt8(first), count: GroupCoding.block)
        }
        for folded in 0...50 as ClosedRange<Int64> {
            let wanted = places.filter { $0.first + 9 >= folded }
            let found = scan(bytes, after: folded)
            #expect(found.map(\.header.first) == wanted.map(\.first) && found.map(\.offset) == wanted.map(\.offset))
        }
    }

    @Test("whatever bytes come, nothing traps, and nothing is found that is not there", arguments: seeds)
    func isTotal(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var maker = ProposalMaker(seed: seed)
        let group = encoded((0..<20).map { _ in maker.next() }, first: 1, epoch)
        for _ in 0..<50 {
            var bytes = (0..<Int.random(in: 0...20_000, using: &generator)).map { _ in
                UInt8.random(in: .min ... .max, using: &generator)
            }
            #expect(scan(bytes).isEmpty)
            bytes = Array(group.prefix(bytes.count))
            #expect(scan(bytes).count == (bytes.count == group.count ? 1 : scan(bytes).count))
        }
        // A length that reaches past the end, or past all that can be.
        for (count, length) in [(1, 1 << 30), (1, Int(UInt32.max)), (0, 10), (Int(UInt32.max), 0)] {
            var bytes = [UInt8](repeating: 0, count: 8192)
            bytes.withUnsafeMutableBytes { bytes in
                bytes.storeBytes(of: UInt32(count), toByteOffset: 16, as: UInt32.self)
                bytes.storeBytes(of: UInt32(length), toByteOffset: 20, as: UInt32.self)
                bytes.storeBytes(of: 1, toByteOffset: 8, as: Int64.self)
            }
            #expect(scan(bytes).isEmpty)
        }
    }

    @Test("an epoch is the same behind its bytes, and its name is of its first half")
    func keepsEpochs() {
        #expect(Epoch(epoch.encoded) == epoch && epoch.encoded.count == Epoch.bytes)
        #expect(epoch.name == "0123456789abcdef" && Epoch(high: 1, low: 2).name == "0000000000000001")
        #expect(Epoch([1, 2, 3]) == nil)
        #expect(Epoch.random() != Epoch.random())
    }
}
