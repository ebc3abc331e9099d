/// The objects that a server made for a proposal of its own, so that its `apply` need not decode them: at most one of each kind. The
/// forms in the proposal are theirs.
struct Prepared: Sendable {
    var service: StoredService?
    /// The incarnation, which is new where the node is; and its record.
    var node: (StoredNode, NodeRecord)?
    var pod: StoredPod?
}
