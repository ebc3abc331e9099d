/// The mark of the groups of one start of the program: 16 random bytes, which `tandem.db` names.
struct Epoch: Sendable, Hashable {
    static let bytes = 16

    var high: UInt64
    var low: UInt64

    static func random() -> Epoch { Epoch(high: .random(in: .min ... .max), low: .random(in: .min ... .max)) }

    init(high: UInt64, low: UInt64) {
        (self.high, self.low) = (high, low)
    }

    /// nil where they are not 16.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.bytes else { return nil }
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(high: number(bytes[..<8]), low: number(bytes[8...]))
    }

    var encoded: [UInt8] {
        [high, low].flatMap { word in stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> $0) }
        }
    }

    /// For the names of files: the first half, 16 hexadecimal digits.
    var name: String {
        let digits = String(high, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
