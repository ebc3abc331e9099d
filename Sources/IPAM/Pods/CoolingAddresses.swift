import Addressing
import Allocation
import Ledger
import Synchronization
import TandemAPI

/// An address that was given back, and is not to be given out again before its time.
struct CoolingAddress: Sendable, Comparable {
    /// In seconds of this server's `Environment.uptime`: not a part of the books.
    var end: Int
    var address: IPAddress
    /// The version that was given last when it began to cool.
    var version: UInt64

    static func < (left: CoolingAddress, right: CoolingAddress) -> Bool {
        (left.end, left.address) < (right.end, right.address)
    }
}

/// The addresses of one node that were given back and are not to be given out again yet: a packet on its way to the old pod
/// must not reach a new one.
///
/// An address that cools is still taken in its pool. It comes and goes by `Books.apply` alone: with the pod that gets it, or once its
/// time is over. Addresses that a call of this server is about to take out are claimed meanwhile, so that no other call tries the same.
/// Thread-safe; the lock is held for one look or change, O(log n).
final class CoolingAddresses: Sendable {
    /// Those of one family: by address, and of those that are not claimed the next one to be ready first.
    private struct Cooling {
        var entries: [IPAddress: CoolingAddress] = [:]
        var order = SortedList<CoolingAddress, Void>()

        mutating func add(_ entry: CoolingAddress) {
            if let old = entries.updateValue(entry, forKey: entry.address) { order.remove(old) }
            order.insert(entry)
        }

        mutating func remove(_ address: IPAddress) {
            if let old = entries.removeValue(forKey: address) { order.remove(old) }
        }

        mutating func claim(_ entry: CoolingAddress) -> CoolingAddress? { order.remove(entry) ? entry : nil }

        /// The next one to be ready, if that is no later than `latest`.
        mutating func claimFirst(by latest: Int) -> CoolingAddress? {
            guard let entry = order[order.start]?.key, entry.end <= latest else { return nil }
            return claim(entry)
        }
    }

    private let cooling = Mutex((ipv4: Cooling(), ipv6: Cooling()))

    private func with<Result: Sendable>(_ family: IPFamily, _ body: (inout Cooling) -> Result) -> Result {
        cooling.withLock { family == .ipv4 ? body(&$0.ipv4) : body(&$0.ipv6) }
    }

    // MARK: By `Books.apply`

    func add(_ entry: CoolingAddress) { with(entry.address.family) { $0.add(entry) } }

    func remove(_ address: IPAddress) { with(address.family) { $0.remove(address) } }

    // MARK: Claims of calls in flight

    /// Those whose time is over, `limit` at most: a change stays small.
    func claimReady(_ uptime: Int, limit: Int) -> [CoolingAddress] {
        var ready: [CoolingAddress] = []
        for family in IPFamily.allCases {
            with(family) { cooling in
                while ready.count < limit, let entry = cooling.claimFirst(by: uptime) { ready.append(entry) }
            }
        }
        return ready
    }

    /// The one of a family that has cooled longest.
    func claimOldest(_ family: IPFamily) -> CoolingAddress? { with(family) { $0.claimFirst(by: .max) } }

    func claim(_ address: IPAddress) -> CoolingAddress? {
        with(address.family) { cooling in cooling.entries[address].flatMap { cooling.claim($0) } }
    }

    /// Undoes a claim, unless the address cools no more, or anew.
    func giveBack(_ entry: CoolingAddress) {
        with(entry.address.family) { cooling in
            if cooling.entries[entry.address]?.version == entry.version { cooling.order.insert(entry) }
        }
    }

    // MARK: Looks

    /// How many are ready and not claimed, up to a limit. O(limit).
    func readyCount(_ uptime: Int, limit: Int) -> Int {
        var count = 0
        for family in IPFamily.allCases {
            with(family) { cooling in
                cooling.order.visit(from: cooling.order.start) { entry, _ in
                    guard entry.end <= uptime, count < limit else { return false }
                    count += 1
                    return true
                }
            }
        }
        return count
    }

    /// The version at which the address began to cool; nil where it does not.
    func version(of address: IPAddress) -> UInt64? { with(address.family) { $0.entries[address]?.version } }

    func isCooling(_ address: IPAddress) -> Bool { version(of: address) != nil }

    func count(_ family: IPFamily) -> Int { with(family) { $0.entries.count } }

    /// Those of a family, claimed or not, in no order. O(n).
    func addresses(_ family: IPFamily) -> [IPAddress] { with(family) { Array($0.entries.keys) } }

    var count: Int { cooling.withLock { $0.ipv4.entries.count + $0.ipv6.entries.count } }

    /// All of them, claimed or not, in the order of their addresses. O(n log n).
    var all: [CoolingAddress] {
        cooling.withLock { Array($0.ipv4.entries.values) + Array($0.ipv6.entries.values) }
            .sorted { $0.address < $1.address }
    }
}
