/// Why a text can't be read.
public struct YAMLFault: Error, Hashable, CustomStringConvertible {
    /// From 1.
    public var line: Int
    /// From 1, of those that are not empty.
    public var document = 1
    public var problem: String

    public var description: String { "line \(line): \(problem)" }
}
