/// The shortest digits that tell a floating-point number from its neighbours, written as Go does.
struct Decimal {
    private let isNegative: Bool
    /// Without zeros in front or behind; one for zero.
    private let digits: [Character]
    /// Of the first digit.
    private let exponent: Int

    init(_ number: Double) { self.init(description: number.description) }
    init(_ number: Float) { self.init(description: number.description) }

    /// Swift's: `123.45`, `-1e-07`, `5.0`.
    private init(description: String) {
        let parts = description.split(separator: "e")
        isNegative = parts[0].hasPrefix("-")
        let mantissa = parts[0].drop { $0 == "-" }.split(separator: ".")
        let all = mantissa.joined()
        let zeros = all.prefix { $0 == "0" }.count
        let shift = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        var significant = Array(all.dropFirst(zeros))
        while significant.last == "0" { significant.removeLast() }
        digits = significant.isEmpty ? ["0"] : significant
        exponent = significant.isEmpty ? 0 : mantissa[0].count - 1 - zeros + shift
    }

    /// As `encoding/json` writes it: without an exponent from 1e-6 up to 1e21.
    var json: String { (-6..<21).contains(exponent) ? plain : scientific(digits: 1) }

    /// As `strconv.FormatFloat` writes it with `g`: without an exponent from 1e-4 up to 1e6.
    var key: String { (-4..<6).contains(exponent) ? plain : scientific(digits: 2) }

    private var sign: String { isNegative ? "-" : "" }

    private var plain: String {
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + String(digits) }
        let whole = digits.prefix(exponent + 1)
        let fraction = digits.dropFirst(exponent + 1)
        let zeros = String(repeating: "0", count: exponent + 1 - whole.count)
        return sign + String(whole) + zeros + (fraction.isEmpty ? "" : "." + String(fraction))
    }

    private func scientific(digits least: Int) -> String {
        let fraction = digits.count > 1 ? "." + String(digits.dropFirst()) : ""
        let power = String(exponent.magnitude)
        let padding = String(repeating: "0", count: max(0, least - power.count))
        return "\(sign)\(digits[0])\(fraction)e\(exponent < 0 ? "-" : "+")\(padding)\(power)"
    }
}
