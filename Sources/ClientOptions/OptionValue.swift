/// Values of flags for `transform:`. Each throws `UsageError` with an example of a right value, where the parser's own conversion would name
/// the wrong value alone.
public enum OptionValue {
    @Sendable
    public static func wholeNumber(_ text: String) throws -> Int {
        guard let number = Int(text) else { throw UsageError("write a whole number, such as 10") }
        return number
    }

    @Sendable
    public static func number(_ text: String) throws -> Double {
        guard let number = Double(text) else { throw UsageError("write a number, such as 2.5") }
        return number
    }

    @Sendable
    public static func truth(_ text: String) throws -> Bool {
        guard let truth = Bool(text) else { throw UsageError("write true or false") }
        return truth
    }
}
