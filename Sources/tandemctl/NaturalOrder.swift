import Addressing
import TandemAPI

/// The order of `--sort-by`: addresses by value, numbers in texts by value, and missing values first.
enum NaturalOrder {
    static func precedes(_ left: JSONValue?, _ right: JSONValue?) -> Bool {
        guard let right, right != .null else { return false }
        guard let left, left != .null else { return true }
        if case (.number(let left), .number(let right)) = (left, right), let left = Double(left),
            let right = Double(right)
        {
            return left < right
        }
        return precedes(JSONPath.text(of: left), JSONPath.text(of: right))
    }

    static func precedes(_ left: String, _ right: String) -> Bool {
        if let left = IPAddress(left), let right = IPAddress(right) { return left < right }
        var (left, right) = (Substring(left), Substring(right))
        while let first = left.first, let other = right.first {
            let (digits, others) = (left.prefix(while: isDigit), right.prefix(while: isDigit))
            guard digits.isEmpty || others.isEmpty else {
                let (number, another) = (digits.drop { $0 == "0" }, others.drop { $0 == "0" })
                if number != another {
                    return number.count == another.count ? number < another : number.count < another.count
                }
                (left, right) = (left[digits.endIndex...], right[others.endIndex...])
                continue
            }
            if first != other { return first < other }
            left.removeFirst()
            right.removeFirst()
        }
        return left.isEmpty && !right.isEmpty
    }

    private static func isDigit(_ character: Character) -> Bool { character.isASCII && character.isNumber }
}
