import Addressing
import Allocation
import Ledger
import Synchronization
import TandemAPI

/// The addresses of one node that were given back and are not to be given out again yet: a packet on its way to the old pod
/// must not reach a new one.
///
/// An address that cools is still taken in its pool. It leaves by a change of the ledger alone, which forgets that it cools:
/// with the pod that gets it, or once its time is over. Thread-safe; the lock is held for one look or change, O(log n).
final class CoolingAddresses: Sendable {
    struct Entry: Sendable, Comparable {
        /// In seconds of `Environment.uptime`.
        var end: Int
        var address: IPAddress

        static func < (left: Entry, right: Entry) -> Bool { (left.end, left.address) < (right.end, right.address) }
    }

    /// Those of one family: by address, and the next one to be ready first.
    private struct Cooling {
        var ends: [IPAddress: Int] = [:]
        var order = SortedList<Entry, Void>()

        mutating func add(_ entry: Entry) {
            if let old = ends.updateValue(entry.end, forKey: entry.address) {
                order.remove(Entry(end: old, address: entry.address))
            }
            order.insert(entry)
        }

        mutating func take(_ address: IPAddress) -> Entry? {
            guard let end = ends.removeValue(forKey: address) else { return nil }
            let entry = Entry(end: end, address: address)
            order.remove(entry)
            return entry
        }

        /// The next one to be ready, if that is no later than `latest`.
        mutating func takeFirst(by latest: Int) -> Entry? {
            guard let entry = order[order.start]?.key, entry.end <= latest else { return nil }
            return take(entry.address)
        }
    }

    private let cooling = Mutex((ipv4: Cooling(), ipv6: Cooling()))

    private func with<Result: Sendable>(_ family: IPFamily, _ body: (inout Cooling) -> Result) -> Result {
        cooling.withLock { family == .ipv4 ? body(&$0.ipv4) : body(&$0.ipv6) }
    }

    func add(_ entry: Entry) { with(entry.address.family) { $0.add(entry) } }

    /// Takes out those whose time is over, `limit` at most: a change stays small.
    func takeReady(_ uptime: Int, limit: Int) -> [Entry] {
        var ready: [Entry] = []
        for family in IPFamily.allCases {
            with(family) { cooling in
                while ready.count < limit, let entry = cooling.takeFirst(by: uptime) { ready.append(entry) }
            }
        }
        return ready
    }

    /// How many are ready, up to a limit. O(limit).
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

    /// Takes out the one of a family that has cooled longest.
    func takeOldest(_ family: IPFamily) -> Entry? { with(family) { $0.takeFirst(by: .max) } }

    func take(_ address: IPAddress) -> Entry? { with(address.family) { $0.take(address) } }

    func isCooling(_ address: IPAddress) -> Bool { with(address.family) { $0.ends[address] != nil } }

    func count(_ family: IPFamily) -> Int { with(family) { $0.ends.count } }

    var count: Int { cooling.withLock { $0.ipv4.ends.count + $0.ipv6.ends.count } }

    /// O(n).
    var all: [IPAddress] { cooling.withLock { Array($0.ipv4.ends.keys) + Array($0.ipv6.ends.keys) } }
}

/// What the ledger keeps of an address that cools: where, and since when.
enum CoolingRecord {
    static func put(_ address: IPAddress, on node: StoredNode, now: Int, version: UInt64) -> LedgerRecord {
        let document = Documents.encode { writer in
            writer.beginObject()
            writer.key("node")
            writer.string(node.name)
            writer.key("releasedAt")
            writer.number(now)
            writer.endObject()
        }
        return LedgerRecord(
            kind: .cooling, key: address.description, version: version,
            change: .put(document: document, context: [], holdings: []))
    }

    static func removal(_ address: IPAddress, version: UInt64) -> LedgerRecord {
        LedgerRecord(kind: .cooling, key: address.description, version: version, change: .delete)
    }
}

extension Engine {
    /// What becomes of the addresses of pods that go: how each is given back, and what the ledger is told.
    func cool(_ addresses: [IPAddress], on node: StoredNode, version: UInt64) -> (
        freed: [Hold], records: [LedgerRecord]
    ) {
        guard cluster.podIPReuseDelaySeconds > 0 else {
            return (
                addresses.compactMap { address in node.pool(containing: address).map { .address($0, address) } }, []
            )
        }
        let end = environment.uptime() + cluster.podIPReuseDelaySeconds
        let cooled = addresses.filter { node.pool(containing: $0) != nil }
        return (
            cooled.map { .cooling(node.cooling, CoolingAddresses.Entry(end: end, address: $0)) },
            cooled.map { CoolingRecord.put($0, on: node, now: environment.now(), version: version) }
        )
    }

    /// Takes some of those whose time is over along with a change of their node: they are free once it is kept.
    func thaw(_ node: StoredNode, in change: inout Change, version: UInt64, limit: Int = 32) {
        free(node.cooling.takeReady(environment.uptime(), limit: limit), of: node, in: &change, version: version)
    }

    /// Entries that were taken out of the node's cooling addresses are free once the change is kept, and else cool on.
    func free(_ entries: [CoolingAddresses.Entry], of node: StoredNode, in change: inout Change, version: UInt64) {
        for entry in entries {
            guard let pool = node.pool(containing: entry.address) else { continue }
            change.records.append(CoolingRecord.removal(entry.address, version: version))
            change.claimed.append(.cooling(node.cooling, entry))
            change.freed.append(.address(pool, entry.address))
        }
    }
}

extension Recovery {
    /// The clock may have jumped while nothing ran: then the address cools for as long as it would at first, or no longer.
    func restoreCooling(_ object: RecoveredObject, _ environment: Environment, delay: Int) throws {
        let key = String(decoding: object.key, as: UTF8.self)
        let json: JSONValue
        do throws(JSONError) {
            json = try JSONValue(parsing: Array(object.document))
        } catch {
            throw APIError(
                .internal, reason: "InternalError", "the stored cooling address \(key) can't be read: \(error)")
        }
        guard let address = IPAddress(key), let node = json["node"]?.stringValue.flatMap({ registry.nodes[$0] }),
            let pool = node.pool(containing: address)
        else { return }
        guard pool.claim(address) == .claimed else { throw RecoveryFault.twoOwners(key, "cooling/\(key)", nil) }
        let age = min(max(0, environment.now() - (json["releasedAt"]?.intValue ?? 0)), delay)
        node.cooling.add(CoolingAddresses.Entry(end: environment.uptime() + delay - age, address: address))
    }
}
