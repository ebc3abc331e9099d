import Addressing
import Ledger
import Synchronization
import TandemAPI

/// Frees addresses that have cooled for their time, whether or not their node gets another pod: node after node, a few at a time; and the pod CIDRs of
/// nodes that are gone.
///
/// One thread at a time may use it; its proposals go the way of all others.
public final class Thaw: Sendable {
    private let engine: Engine
    private let place = Mutex<PageToken?>(nil)

    /// Nodes looked at in one step, O(log n) each.
    public static let nodesPerStep = 1_024
    /// Addresses that one step starts to free, or a few more: so many changes come before a client's proposal at most.
    static let addressesPerStep = 2_048
    /// Ranges that are freed in one proposal: few enough that no commit beside it waits long.
    static let rangesPerProposal = 256

    public init(_ engine: Engine) {
        self.engine = engine
    }

    /// Looks at the next nodes, and starts to free addresses that are ready there. True where the last of the nodes has been looked at. Never
    /// blocks; where storage is behind it does nothing.
    @discardableResult
    public func step() -> Bool {
        guard !engine.journal.isCongested(), !engine.journal.hasFailed else { return true }
        let token = place.withLock { $0 }
        let uptime = engine.environment.uptime()
        if token == nil { engine.thawCIDRs(uptime) }
        let page = engine.books.nodes.page(after: token, limit: Self.nodesPerStep)
        var addresses = 0
        for node in page.items {
            let ready = node.cooling.readyCount(uptime, limit: Self.rangesPerProposal)
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
            guard self.books.nodes[node.name] === node else { return turn.giveBack() }
            let ready = node.cooling.claimReady(self.environment.uptime(), limit: Thaw.rangesPerProposal)
            let claims = ready.map { Claim.cooling(node.cooling, $0) }
            guard !claims.isEmpty else { return turn.giveBack() }
            // Addresses that were not freed are ready again: a later round finds it, and those that were too many.
            self.commit(Intent(Proposal(claims.compactMap(\.thaw)), claims: claims), for: nil) { _ in turn.giveBack() }
        }
    }

    /// A refused one is seen again in a later round, where it still cools.
    fileprivate func thawCIDRs(_ uptime: Int) {
        let ready = books.readyCIDRs(uptime, limit: Thaw.rangesPerProposal)
        guard !ready.isEmpty else { return }
        commit(Intent(Proposal(ready.map { .thaw($0.cidr, version: $0.version) })), for: nil) { _ in }
    }
}
