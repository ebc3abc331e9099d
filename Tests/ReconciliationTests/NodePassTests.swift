import Reconciliation
import TandemAPI
import Testing

@Suite("A node on both sides")
struct NodePassTests {
    private static let (v4, v6, other) = ("10.244.1.0/24", "fd00:10:244:1::/64", "10.244.9.0/24")

    private func step(_ shown: ShownNode?, _ held: HeldNode?, isFresh: Bool = false, isOverdue: Bool = false) -> Step {
        NodePass(name: "n1", shown: shown, held: held, isFresh: isFresh, isOverdue: isOverdue).next()
    }

    private func purpose(_ step: Step) -> TandemCall.Purpose? {
        if case .call(let call) = step { call.purpose } else { nil }
    }

    @Test("the first step, by the state of each side")
    func table() {
        let (v4, v6) = (Self.v4, Self.v6)
        let bare = ShownNode(name: "n1", uid: "u1")
        let dual = ShownNode(name: "n1", uid: "u1", podCIDRs: [v4, v6])
        #expect(step(nil, nil) == .finished(.nothing))
        // Taken over as it stands, and left alone from then on.
        #expect(purpose(step(dual, nil)) == .adopt)
        #expect(purpose(step(dual, HeldNode(uid: "u0", podCIDRs: [v4, v6]))) == .adopt)
        #expect(purpose(step(dual, HeldNode(uid: "u1", podCIDRs: [v4]))) == .adopt)
        #expect(step(dual, HeldNode(uid: "u1", podCIDRs: [v4, v6])) == .finished(.settled))
        // Tandem's further CIDR is of the same family, and no growth.
        #expect(step(dual, HeldNode(uid: "u1", podCIDRs: [v4, v6, Self.other])) == .finished(.settled))
        // Grown in Tandem: said, not forced.
        let single = ShownNode(name: "n1", uid: "u1", podCIDRs: [v4])
        #expect(step(single, HeldNode(uid: "u1", podCIDRs: [v4, v6])) == .finished(.grown([v6])))
        // A new one.
        #expect(purpose(step(bare, nil)) == .allocate)
        #expect(purpose(step(bare, HeldNode(uid: "u1", podCIDRs: [v4]))) == .allocate)
        // One that came back keeps the addresses of its machine's pods.
        #expect(purpose(step(bare, HeldNode(uid: "u0", podCIDRs: [v4]))) == .adopt)
        #expect(step(ShownNode(name: "n1", uid: "u1", isDeleting: true), nil) == .finished(.nothing))
    }

    @Test("a node that is gone goes by its uid, after its time and another look; one that no cluster named stays")
    func gone() {
        let held = HeldNode(uid: "u1", podCIDRs: [Self.v4])
        #expect(step(nil, held) == .finished(.waits))
        #expect(step(nil, held, isFresh: true) == .finished(.waits))
        #expect(step(nil, held, isOverdue: true) == .look)
        let release: JSONValue = ["node": ["metadata": ["name": "n1", "uid": "u1"]]]
        #expect(
            step(nil, held, isFresh: true, isOverdue: true) == .call(TandemCall(.release, .release, release)))
        let made = HeldNode(uid: "u1", isUIDMade: true, podCIDRs: [Self.v4])
        #expect(step(nil, made, isFresh: true, isOverdue: true) == .finished(.nothing))
        // It is there again when it is looked for.
        var pass = NodePass(name: "n1", shown: nil, held: held, isOverdue: true)
        pass.saw(["metadata": ["name": "n1", "uid": "u2"], "spec": ["podCIDRs": [.string(Self.v4)]]])
        #expect(purpose(pass.next()) == .adopt)
    }

    @Test("a new node is given Tandem's CIDRs for it, the first of each family, under its uid")
    func gives() throws {
        var pass = NodePass(name: "n1", shown: ShownNode(name: "n1", uid: "u1"), held: nil)
        guard case .call(let call) = pass.next() else { throw Unexpected() }
        let node: JSONValue = [
            "metadata": ["name": "n1", "uid": "u1"],
            "spec": ["podCIDRs": [.string(Self.v4), .string(Self.other), .string(Self.v6)]],
        ]
        pass.answered(call, ["node": node])
        let patch: JSONValue = [
            "metadata": ["uid": "u1"],
            "spec": ["podCIDR": .string(Self.v4), "podCIDRs": [.string(Self.v4), .string(Self.v6)]],
        ]
        #expect(pass.next() == .patch(patch))
        pass.saw(node, isPatched: true)
        #expect(pass.next() == .finished(.settled))
    }

    @Test("the cluster's state by then counts: another's CIDR is taken in, not overwritten")
    func yields() throws {
        var pass = NodePass(name: "n1", shown: ShownNode(name: "n1", uid: "u1"), held: nil)
        guard case .call(let call) = pass.next() else { throw Unexpected() }
        pass.answered(call, ["node": ["metadata": ["uid": "u1"], "spec": ["podCIDRs": [.string(Self.v4)]]]])
        pass.saw(["metadata": ["name": "n1", "uid": "u1"], "spec": ["podCIDR": .string(Self.other)]])
        guard case .call(let adoption) = pass.next() else { throw Unexpected() }
        #expect(adoption.purpose == .adopt)
        #expect(adoption.params["node"]?["spec"]?["podCIDRs"] == [.string(Self.other)])
        #expect(adoption.params["adopt"] == true && adoption.params["outOfRange"] == true)
    }
}

struct Unexpected: Error {}
