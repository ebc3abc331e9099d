/// The search of Wing and Gong: tries every order that the moments allow against what one call after the other would do,
/// and remembers where it has been. A call without an answer may come at any place behind its request, or at none.
public struct History {
    private struct Held: Hashable {
        /// nil where a call without an answer allocated it, and no answer has shown it since.
        var address: String?
        var version: Int
        /// Whether it is this version, and not a later one that a call without an answer made.
        var isExact = true

        /// The state known once it was seen as that; nil where it can't have been.
        func seen(_ address: String, _ version: Int) -> Held? {
            guard self.address == nil || self.address == address,
                isExact ? version == self.version : version >= self.version
            else { return nil }
            return Held(address: address, version: version)
        }
    }

    private struct Place: Hashable {
        var done: UInt128
        var held: [Held?]
    }

    private let operations: [RecordedCall]
    private let free: Set<String>?
    private let hasSeveralServers: Bool

    /// Up to 127 operations. `free` are the addresses without a holder at first; nil where there are so many that they neither
    /// run out nor are looked at: then names may be checked one by one.
    public init(_ operations: [RecordedCall], free: Set<String>?, hasSeveralServers: Bool = false) {
        self.hasSeveralServers = hasSeveralServers
        precondition(operations.count < 128)
        self.operations = operations.sorted { $0.invoked < $1.invoked }
        self.free = free
    }

    public var hasOrder: Bool {
        var seen: Set<Place> = []
        let names = (operations.map(\.name).max() ?? 0) + 1
        return hasOrder(from: Place(done: 0, held: Array(repeating: nil, count: names)), &seen)
    }

    private func hasOrder(from place: Place, _ seen: inout Set<Place>) -> Bool {
        guard seen.insert(place).inserted else { return false }
        let open = operations.indices.filter { place.done & 1 << UInt128($0) == 0 }
        let answered = open.filter { operations[$0].outcome != .unknown }
        guard let deadline = answered.map({ operations[$0].answered }).min() else { return true }
        for index in open where operations[index].invoked < deadline {
            if isInterchangeable(index, open) { continue }
            guard let held = after(operations[index], place) else { continue }
            if hasOrder(from: Place(done: place.done | 1 << UInt128(index), held: held), &seen) { return true }
        }
        return false
    }

    /// Of calls without an answer that do the same one is as good as the next, and the first may come wherever another may.
    private func isInterchangeable(_ index: Int, _ open: [Int]) -> Bool {
        let operation = operations[index]
        guard operation.outcome == .unknown else { return false }
        return open.contains { other in
            other < index && operations[other].outcome == .unknown && operations[other].act == operation.act
                && operations[other].name == operation.name
        }
    }

    /// "Full" counts the claims of calls in flight at the same time that are not committed or not given back: addresses that no object
    /// is seen to hold, and that it will not wait for.
    private func claimsUnderWay(beside operation: RecordedCall, _ place: Place) -> Int {
        operations.indices.count { index in
            let other = operations[index]
            guard other.invoked < operation.answered, operation.invoked < other.answered else { return false }
            let isDone = place.done & 1 << UInt128(index) != 0
            switch other.outcome {
            case .object(_, _, isReplay: false): return other.act == .allocate && !isDone
            // It may have claimed an address before it learned that another server's call had been first.
            case .object(_, _, isReplay: true): return other.act == .allocate && hasSeveralServers
            case .released(.some): return isDone
            default: return false
            }
        }
    }

    /// The holdings after a call whose outcome it must have been; nil where it can't have been, or would change nothing and needs not
    /// have been.
    private func after(_ operation: RecordedCall, _ place: Place) -> [Held?]? {
        let old = place.held[operation.name]
        var held = place.held
        switch (operation.act, operation.outcome) {
        case (.allocate, .object(let address, let version, let isReplay)):
            if let old {
                guard isReplay, let seen = old.seen(address, version) else { return nil }
                held[operation.name] = seen
                return held
            }
            guard !isReplay, free?.contains(address) ?? true, !held.contains(where: { $0?.address == address }) else {
                return nil
            }
            held[operation.name] = Held(address: address, version: version)
        case (.allocate, .full):
            guard let free else { return nil }
            let taken = held.compactMap(\.self).count + claimsUnderWay(beside: operation, place)
            return old == nil && taken >= free.count ? held : nil
        case (.allocate, .unknown):
            guard old == nil else { return nil }
            held[operation.name] = Held(address: nil, version: 0, isExact: false)
        case (.update, .object(let address, let version, _)):
            guard let old, old.address == nil || old.address == address, version >= old.version else { return nil }
            held[operation.name] = Held(address: address, version: version)
        case (.update, .unknown):
            guard let old, old.isExact else { return nil }
            held[operation.name]?.isExact = false
        case (.update, .missing), (.read, .missing): return old == nil ? held : nil
        case (.read, .object(let address, let version, _)):
            guard let seen = old?.seen(address, version) else { return nil }
            held[operation.name] = seen
        case (.release, .released(let address)):
            guard let old else { return address == nil ? held : nil }
            guard let address, old.address == nil || old.address == address else { return nil }
            held[operation.name] = nil
        case (.release, .unknown):
            guard old != nil else { return nil }
            held[operation.name] = nil
        default: return nil
        }
        return held
    }
}
