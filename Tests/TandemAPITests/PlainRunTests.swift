import TestSupport
import Testing

@testable import TandemAPI

@Suite("Runs of plain bytes")
struct PlainRunTests {
    private func slowLength(_ bytes: [UInt8], from start: Int, inASCII: Bool) -> Int {
        bytes[start...].prefix {
            $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && !(inASCII && $0 > 0x7F)
        }.count
    }

    @Test("eight at a time as one by one", arguments: seeds)
    func agreesWithTheSlowWay(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        // Those on either side of each bound, and some that need no attention.
        let odd: [UInt8] = [0, 1, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x5B, 0x5C, 0x5D, 0x7F, 0x80, 0xA2, 0xDC, 0xFF]
        for _ in 0..<3_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                Int.random(in: 0..<8, using: &generator) == 0
                    ? odd.randomElement(using: &generator)! : UInt8.random(in: 0x61...0x7A, using: &generator)
            }
            let start = Int.random(in: 0...bytes.count, using: &generator)
            for inASCII in [false, true] {
                let length = bytes.withUnsafeBytes { PlainRun.length($0, from: start, inASCII: inASCII) }
                #expect(length == slowLength(bytes, from: start, inASCII: inASCII), "\(bytes) from \(start)")
            }
        }
    }
}
