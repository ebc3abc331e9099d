/// The end of a program that failed: its exit status, and a text with the cause.
public struct Failure: Error {
    public static let refused: Int32 = 1
    public static let wrongUsage: Int32 = 2
    public static let notReached: Int32 = 3

    public var status: Int32
    public var text: String

    public init(status: Int32, _ text: String) {
        self.status = status
        self.text = text
    }
}
