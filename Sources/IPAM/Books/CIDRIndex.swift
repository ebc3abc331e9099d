import Addressing

/// CIDRs of both families in order, each with a value: which of them hold a given address or CIDR, and which lie inside it.
///
/// Results come in the order of CIDRs (by network, the wider one first) or of prefix lengths, never in that of a Dictionary.
/// A value type: not thread-safe by itself.
struct CIDRIndex<Value: Sendable>: Sendable {
    private var values: [CIDR: Value] = [:]
    private var order = SortedList<CIDR, Void>()
    private var ipv4 = Lengths()
    private var ipv6 = Lengths()

    /// The prefix lengths in use, and by how many CIDRs each.
    private struct Lengths {
        /// The lengths in use, in rising order, and as many counts. Few: those of pod CIDRs and of ranges.
        private(set) var inUse: [UInt8] = []
        private var counts: [Int] = []

        mutating func add(_ length: Int) {
            let place = inUse.firstIndex { $0 >= length } ?? inUse.count
            if place == inUse.count || inUse[place] != length {
                inUse.insert(UInt8(length), at: place)
                counts.insert(0, at: place)
            }
            counts[place] += 1
        }

        /// One that was added.
        mutating func remove(_ length: Int) {
            guard let place = inUse.firstIndex(of: UInt8(length)) else { return }
            counts[place] -= 1
            if counts[place] == 0 {
                inUse.remove(at: place)
                counts.remove(at: place)
            }
        }
    }

    private subscript(lengths family: IPFamily) -> Lengths {
        get { family == .ipv4 ? ipv4 : ipv6 }
        _modify { if family == .ipv4 { yield &ipv4 } else { yield &ipv6 } }
    }

    init() {}

    var count: Int { values.count }

    /// The value of exactly this CIDR. O(1).
    subscript(cidr: CIDR) -> Value? { values[cidr] }

    /// Puts `value` in place of the one that `cidr` had, which is returned. O(log n), and O(1) where there was one.
    @discardableResult
    mutating func insert(_ value: Value, for cidr: CIDR) -> Value? {
        let old = values.updateValue(value, forKey: cidr)
        if old == nil {
            order.insert(cidr)
            self[lengths: cidr.family].add(cidr.prefixLength)
        }
        return old
    }

    /// Takes out `cidr`, whose value is returned; nil where it was not there. O(log n).
    @discardableResult
    mutating func remove(_ cidr: CIDR) -> Value? {
        let old = values.removeValue(forKey: cidr)
        if old != nil {
            order.remove(cidr)
            self[lengths: cidr.family].remove(cidr.prefixLength)
        }
        return old
    }

    /// Calls `body` with each CIDR that contains `cidr`, which may be itself, the widest first, until it returns false.
    /// O(prefix lengths in use).
    func visit(containing cidr: CIDR, _ body: (CIDR, Value) -> Bool) {
        for length in self[lengths: cidr.family].inUse {
            guard length <= cidr.prefixLength else { return }
            let wider = CIDR(containing: cidr.network, prefixLength: Int(length))
            if let value = values[wider], !body(wider, value) { return }
        }
    }

    /// As ``visit(containing:_:)``, of an address.
    func visit(containing address: IPAddress, _ body: (CIDR, Value) -> Bool) {
        visit(containing: CIDR(address), body)
    }

    /// Calls `body` with each CIDR that lies in `cidr`, which may be itself, in order and, where `start` is given, from behind that one
    /// on, until it returns false. O(log n + visited).
    func visit(inside cidr: CIDR, after start: CIDR? = nil, _ body: (CIDR, Value) -> Bool) {
        // From the place where it is or would be on: wider ones with the same network stand before.
        let place = if let start, start >= cidr { order.next(after: start) } else { order.place(of: cidr) }
        order.visit(from: place) { found, _ in
            guard cidr.contains(found), let value = values[found] else { return false }
            return body(found, value)
        }
    }

    /// Whether there is a CIDR that contains `cidr` or lies in it. O(log n + prefix lengths in use).
    func overlaps(_ cidr: CIDR) -> Bool { contains(anyAround: cidr) || contains(anyInside: cidr) }

    /// Calls `body` with each CIDR that contains `cidr`, the widest first, then with those that lie in it, in order, each once,
    /// until it returns false. O(log n + prefix lengths in use + visited).
    func visit(overlapping cidr: CIDR, _ body: (CIDR, Value) -> Bool) {
        var goesOn = true
        visit(containing: cidr) { found, value in
            if found != cidr { goesOn = body(found, value) }
            return goesOn
        }
        if goesOn { visit(inside: cidr, body) }
    }
}

extension CIDRIndex {
    /// Whether one contains the CIDR, or is it. O(prefix lengths in use).
    func contains(anyAround cidr: CIDR) -> Bool {
        var found = false
        visit(containing: cidr) { _, _ in
            found = true
            return false
        }
        return found
    }

    /// Whether one lies in the CIDR, or is it. O(log n).
    func contains(anyInside cidr: CIDR) -> Bool {
        var found = false
        visit(inside: cidr) { _, _ in
            found = true
            return false
        }
        return found
    }

    func all(around cidr: CIDR) -> [(CIDR, Value)] {
        var found: [(CIDR, Value)] = []
        visit(containing: cidr) {
            found.append(($0, $1))
            return true
        }
        return found
    }

    func all(inside cidr: CIDR) -> [(CIDR, Value)] {
        var found: [(CIDR, Value)] = []
        visit(inside: cidr) {
            found.append(($0, $1))
            return true
        }
        return found
    }

    func all(overlapping cidr: CIDR) -> [(CIDR, Value)] {
        var found: [(CIDR, Value)] = []
        visit(overlapping: cidr) {
            found.append(($0, $1))
            return true
        }
        return found
    }
}
