/// A moment as Kubernetes writes it: RFC 3339, UTC, to the second, such as `2026-11-24T08:46:47Z`; from 1970 to 2106.
public struct CreationTime: CanonicalText {
    /// Of `seconds` in memory.
    public static let byteCount = 4

    /// Since 1970.
    public let seconds: UInt32

    public init(seconds: UInt32) {
        self.seconds = seconds
    }

    /// O(1).
    public init?(canonical text: UnsafeRawBufferPointer) {
        guard text.count == Self.textCount else { return nil }
        func number(_ range: Range<Int>) -> Int { text[range].reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) } }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        let time = (number(11..<13) * 60 + number(14..<16)) * 60 + number(17..<19)
        guard let seconds = UInt32(exactly: Self.days(year, month, day) * 86400 + time) else { return nil }
        self.seconds = seconds
        // Whatever else stands in the text, and a day that is not in the calendar, comes out here.
        guard isWritten(text) else { return nil }
    }

    /// The text is held on the stack. O(1).
    public func withText(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: Self.textCount, alignment: 1) { text in
            var end = 0
            func put(_ value: Int, _ digits: Int, _ sign: Unicode.Scalar) {
                var rest = value
                for place in (0..<digits).reversed() {
                    text[end + place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                text[end + digits] = UInt8(ascii: sign)
                end += digits + 1
            }
            let (year, month, day) = Self.date(Int(seconds) / 86400)
            let time = Int(seconds) % 86400
            put(year, 4, "-")
            put(month, 2, "-")
            put(day, 2, "T")
            put(time / 3600, 2, ":")
            put(time / 60 % 60, 2, ":")
            put(time % 60, 2, "Z")
            body(UnsafeRawBufferPointer(text))
        }
    }

    public static let textCount = 20

    // Years are counted from March on: a leap day is the last of its year. 400 of them have 146,097 days, and months from March
    // on begin (153 n + 2) / 5 days behind its start.

    /// From 1970 on, of a date in the calendar; of another one, some number.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let months = (month + 9) % 12
        let years = month > 2 ? year : year - 1
        return years * 365 + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1 - daysBefore1970
    }

    private static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let days = days + daysBefore1970
        let (era, dayOfEra) = days.quotientAndRemainder(dividingBy: 146_097)
        let years = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (years * 365 + years / 4 - years / 100)
        let months = (dayOfYear * 5 + 2) / 153
        let month = months < 10 ? months + 3 : months - 9
        return (era * 400 + years + (month > 2 ? 0 : 1), month, dayOfYear - (153 * months + 2) / 5 + 1)
    }

    /// From 1 March of the year 0 on.
    private static let daysBefore1970 = 719_468
}
