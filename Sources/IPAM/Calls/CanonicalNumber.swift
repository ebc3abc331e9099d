/// A JSON number in the one form that stands for all of its value: its digits without zeros at either end, as a whole number, and
/// a power of ten. `1`, `1.0`, `10e-1` are all `1e0`.
enum CanonicalNumber {
    /// O(length). A power of ten that no `Int` holds is left as it was written.
    static func text(_ written: String) -> [UInt8] {
        var digits: [UInt8] = []
        var exponent = 0
        var isNegative = false
        var isFraction = false
        var rest = written.utf8[...]
        while let byte = rest.first {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard let power = Int(Substring(rest.dropFirst())) else { return Array(written.utf8) }
                let (sum, overflows) = exponent.addingReportingOverflow(power)
                guard !overflows else { return Array(written.utf8) }
                return text(digits, sum, isNegative)
            default:
                digits.append(byte)
                if isFraction { exponent -= 1 }
            }
            rest = rest.dropFirst()
        }
        return text(digits, exponent, isNegative)
    }

    private static func text(_ digits: [UInt8], _ exponent: Int, _ isNegative: Bool) -> [UInt8] {
        let zero = UInt8(ascii: "0")
        let zeros = digits.reversed().prefix { $0 == zero }.count
        let significant = digits.dropLast(zeros).drop { $0 == zero }
        guard !significant.isEmpty else { return [zero] }
        let (power, overflows) = exponent.addingReportingOverflow(zeros)
        // As far off as no number is: the digits keep their zeros.
        guard !overflows else { return (isNegative ? [UInt8(ascii: "-")] : []) + digits + Array("e\(exponent)".utf8) }
        return (isNegative ? [UInt8(ascii: "-")] : []) + significant + Array("e\(power)".utf8)
    }
}
