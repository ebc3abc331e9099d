/// A node from the proposal that brought it into being to the one that takes it away, as its pods know it. There is one subclass:
/// `StoredNode`, which has everything else.
class NodeIncarnation: @unchecked Sendable {
    // Proof of `@unchecked Sendable`: a constant; the members of the one subclass are `Sendable`.
    let name: String

    init(_ name: String) {
        self.name = name
    }
}
