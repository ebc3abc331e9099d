/// A configuration that can't be used.
public struct KubeConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A sentence that names the file or the variable, without a full stop.
    public let message: String

    init(_ message: String) { self.message = message }

    public var description: String { message }
}
