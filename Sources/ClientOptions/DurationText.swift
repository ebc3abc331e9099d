public import NIOCore

extension TimeAmount {
    /// A time as `kubectl` takes it: `90`, `90s`, `1m30s`, `1.5h`, `500ms`; nil where it is none, or negative, or above a year.
    public init?(durationText text: String) {
        var rest = Substring(text)
        var seconds = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest[digits.endIndex...]
            let unit = rest.prefix { $0.isLetter }
            rest = rest[unit.endIndex...]
            guard let number = Double(digits), let factor = Self.units[String(unit)] else { return nil }
            // A number alone is the whole of it.
            guard !unit.isEmpty || digits.endIndex == text.endIndex && digits.startIndex == text.startIndex else {
                return nil
            }
            seconds += number * factor
        }
        guard (0...31_536_000).contains(seconds) else { return nil }
        self = .nanoseconds(Int64(seconds * 1e9))
    }

    private static let units: [String: Double] = ["": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3_600]
}
