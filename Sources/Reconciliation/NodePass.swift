public import TandemAPI

/// One look at a Node on both sides, and the steps that bring them together.
///
/// A node that shows pod CIDRs keeps them: Tandem takes them in. One that shows none is given those that Tandem has for it, or gives it now.
/// One that is gone is released by its uid, once it was away for the grace time and another look finds it away still; its pods must be
/// gone before, as Tandem releases no node that has any. Each step may be broken off, and be taken again.
///
/// Pure: `next` returns the next step, given the result of the last one.
public struct NodePass: Sendable {
    public let name: String
    public private(set) var shown: ShownNode?
    public private(set) var held: HeldNode?
    /// `shown` was read after this pass began.
    public private(set) var isFresh: Bool
    /// The node was away for the grace time.
    public let isOverdue: Bool
    private var isAdopted = false
    private var isAsked = false
    private var isPatched = false

    public init(name: String, shown: ShownNode?, held: HeldNode?, isFresh: Bool = false, isOverdue: Bool = false) {
        self.name = name
        self.shown = shown
        self.held = held
        self.isFresh = isFresh
        self.isOverdue = isOverdue
    }

    public func next() -> Step {
        guard let shown else { return nextWithoutNode() }
        guard !shown.podCIDRs.isEmpty else { return nextWithoutCIDRs(shown) }
        let holdsAll = shown.podCIDRs.allSatisfy { held?.podCIDRs.contains($0) == true }
        if !isAdopted, held?.uid != shown.uid || !holdsAll { return .call(adoption(of: shown)) }
        let more = held?.cidrs(beyond: shown) ?? []
        return .finished(more.isEmpty ? .settled : .grown(more))
    }

    private func nextWithoutNode() -> Step {
        guard let held, !held.isUIDMade else { return .finished(.nothing) }
        guard isOverdue else { return .finished(.waits) }
        guard isFresh else { return .look }
        return .call(
            TandemCall(.release, .release, ["node": ["metadata": ["name": .string(name), "uid": .string(held.uid)]]]))
    }

    private func nextWithoutCIDRs(_ shown: ShownNode) -> Step {
        guard !shown.isDeleting else { return .finished(.nothing) }
        // A node that came back keeps the addresses of the machine's pods.
        if let held, held.uid != shown.uid, !isAdopted { return .call(adoption(of: shown)) }
        guard isAsked, let held else {
            return .call(TandemCall(.allocate, .allocateNodeCIDRs, ["node": ["metadata": metadata(shown)]]))
        }
        guard !isPatched, let first = held.shownCIDRs.first else { return .finished(.settled) }
        let spec: JSONValue = [
            "podCIDR": .string(first), "podCIDRs": .array(held.shownCIDRs.map { .string($0) }),
        ]
        return .patch(["metadata": ["uid": .string(shown.uid)], "spec": spec])
    }

    private func metadata(_ shown: ShownNode) -> JSONValue { ["name": .string(name), "uid": .string(shown.uid)] }

    private func adoption(of shown: ShownNode) -> TandemCall {
        var node: JSONValue = ["metadata": metadata(shown)]
        if !shown.podCIDRs.isEmpty {
            node["spec"] = ["podCIDRs": .array(shown.podCIDRs.map { .string($0) })]
        }
        // The node keeps its CIDRs, whatever the ranges are: its pods' addresses come from there.
        return TandemCall(.adopt, .allocateNodeCIDRs, ["node": node, "adopt": true, "outOfRange": true])
    }

    // MARK: Results of steps

    /// The cluster's answer to `look` or `patch`; nil where there is no such node.
    public mutating func saw(_ object: JSONValue?, isPatched: Bool = false) {
        shown = object.flatMap { ShownNode($0) }
        isFresh = true
        self.isPatched = isPatched
    }

    /// Tandem's answer to a call.
    public mutating func answered(_ call: TandemCall, _ result: JSONValue) {
        switch call.purpose {
        case .release: held = nil
        case .adopt: isAdopted = true
        case .allocate, .update, .vacate: isAsked = true
        }
        if let node = result["node"], result["held"] != false { held = HeldNode(node) ?? held }
    }
}
