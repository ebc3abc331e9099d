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
        for node in page.items where node.cooling.hasReady(uptime) { engine.thaw(node) }
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
            self.commit(change) { outcome in
                turn.giveBack()
                // What was not kept is ready again: the next step finds it.
                if case .kept = outcome, node.cooling.hasReady(self.environment.uptime()) { self.thaw(node) }
            }
        }
    }
}
