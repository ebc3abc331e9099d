import Addressing
import Ledger

/// Why a proposal is not kept: its obstacle.
enum Refusal: Error, Sendable, Equatable {
    /// An object is there that should not be, is not there that should, or has changed.
    case changed(ObjectKey)
    /// Something else holds this, or it cools.
    case taken(CIDR)
    case portTaken(Holding)
    /// It lies in the pod CIDR of a node, or in none of its own node's.
    case misplaced(CIDR)
    /// The node is not there, or gets no pods any more.
    case nodeGone(String)
    /// The node has pods, or addresses that cool.
    case nodeInUse(String)
    /// No server of this release proposes it.
    case malformed(ObjectKey)
}
