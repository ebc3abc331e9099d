import Addressing
import Allocation
import Ledger
import Synchronization
import TandemAPI

/// The addresses of one node that were given back and are not to be given out again yet: a packet on its way to the old pod
/// must not reach a new one.
///
/// An address that cools is still taken in its pool. It leaves by a change of the ledger alone, which forgets that it cools:
/// with the pod that gets it, or once its time is over. Thread-safe; the locks are held for one look, O(addresses that cool).
final class CoolingAddresses: Sendable {
    struct Entry: Sendable {
        var address: IPAddress
        /// In seconds of `Environment.uptime`.
        var end: Int
    }

    /// The next one to be ready first.
    private let entries = Mutex<[Entry]>([])

    func add(_ entry: Entry) {
        entries.withLock { entries in
            // Nearly always the last: all cool for the same time.
            let place = entries.lastIndex { $0.end <= entry.end }.map { $0 + 1 } ?? 0
            entries.insert(entry, at: place)
        }
    }

    /// Takes out those whose time is over, `limit` at most: a change stays small.
    func takeReady(_ uptime: Int, limit: Int) -> [Entry] {
        entries.withLock { entries in
            let count = min(limit, entries.firstIndex { $0.end > uptime } ?? entries.count)
            defer { entries.removeFirst(count) }
            return Array(entries[..<count])
        }
    }

    /// Takes out the one of a family that has cooled longest.
    func takeOldest(_ family: IPFamily) -> Entry? {
        take { $0.address.family == family }
    }

    func take(_ address: IPAddress) -> Entry? {
        take { $0.address == address }
    }

    private func take(_ isWanted: (Entry) -> Bool) -> Entry? {
        entries.withLock { entries in
            guard let index = entries.firstIndex(where: isWanted) else { return nil }
            return entries.remove(at: index)
        }
    }

    func isCooling(_ address: IPAddress) -> Bool {
        entries.withLock { $0.contains { $0.address == address } }
    }

    func count(_ family: IPFamily) -> Int {
        entries.withLock { entries in entries.count { $0.address.family == family } }
    }

    var all: [Entry] { entries.withLock { $0 } }
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
            cooled.map { .cooling(node.cooling, CoolingAddresses.Entry(address: $0, end: end)) },
            cooled.map { CoolingRecord.put($0, on: node, now: environment.now(), version: version) }
        )
    }

    /// Takes some of those whose time is over along with a change of their node: they are free once it is kept.
    func thaw(_ node: StoredNode, in change: inout Change, version: UInt64) {
        for entry in node.cooling.takeReady(environment.uptime(), limit: Self.thawedAtOnce) {
            guard let pool = node.pool(containing: entry.address) else { continue }
            change.records.append(CoolingRecord.removal(entry.address, version: version))
            change.claimed.append(.cooling(node.cooling, entry))
            change.freed.append(.address(pool, entry.address))
        }
    }

    private static var thawedAtOnce: Int { 32 }
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
        node.cooling.add(CoolingAddresses.Entry(address: address, end: environment.uptime() + delay - age))
    }
}
