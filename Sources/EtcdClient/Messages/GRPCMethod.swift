/// A method of etcd's API, and the type of its answers.
public struct GRPCMethod<Response>: Sendable {
    /// As `/etcdserverpb.KV/Range`.
    public let path: String

    public init(_ path: String) { self.path = path }
}
