import Addressing
import Ledger
import Synchronization
import TandemAPI

/// Frees what has cooled for its time, whether or not its node gets another pod: node after node, a few at a time.
///
/// One thread at a time may use it; its commits go the way of all others.
public final class Thaw: Sendable {
    private let engine: Engine
    private let place = Mutex<PageToken?>(nil)

    /// Nodes looked at in one step, O(log n) each.
    public static let nodesPerStep = 1_024
    /// Addresses that one step starts to free, or a few more: so many records come before a client's commit at most.
    static let addressesPerStep = 2_048
    /// Addresses of one node that are freed in one change: few enough that no commit beside it waits long.
    static let addressesPerChange = 256

    public init(_ engine: Engine) {
        self.engine = engine
    }

    /// Looks at the next nodes, and starts to free what is ready there. True where the last of the nodes has been looked at. Never
    /// blocks; where storage is behind it does nothing.
    @discardableResult
    public func step() -> Bool {
        guard !engine.journal.isCongested, !engine.journal.hasFailed else { return true }
        let token = place.withLock { $0 }
        let page = engine.registry.nodes.page(after: token, limit: Self.nodesPerStep)
        let uptime = engine.environment.uptime()
        var addresses = 0
        for node in page.items {
            let ready = node.cooling.readyCount(uptime, limit: Self.addressesPerChange)
            guard ready > 0 else { continue }
            engine.thaw(node)
            addresses += ready
            guard addresses >= Self.addressesPerStep else { continue }
            place.withLock { $0 = PageToken(key: node.name) }
            return false
        }
        place.withLock { $0 = page.next }
        return page.next == nil
    }
}

extension Engine {
    /// Under the node's turn, so that the node does not go away meanwhile.
    fileprivate func thaw(_ node: StoredNode) {
        nodeTurns.take(node.name, shared: true) { turn in
            guard self.registry.nodes[node.name] === node else { return turn.giveBack() }
            var change = Change(records: [], apply: {})
            self.thaw(node, in: &change, version: self.nextVersion(), limit: Thaw.addressesPerChange)
            guard !change.records.isEmpty else { return turn.giveBack() }
            // An address that is not freed is ready again: a later round finds it, and those that were too many.
            self.commit(change) { _ in turn.giveBack() }
        }
    }
}
