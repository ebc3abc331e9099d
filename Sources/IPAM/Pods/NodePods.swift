import Addressing

/// The pods of one node by their addresses, a pod once for each of its own: the holder of an address, and a node's pods in an order
/// that outlives a restart. A value type: `StoredNode` holds it behind a lock.
struct NodePods: Sendable {
    private(set) var byAddress = SortedList<UInt32, StoredPod>()
    /// Pods, each counted once.
    private(set) var count = 0
    /// Addresses that pods hold, of IPv4 and of IPv6.
    private var held = (ipv4: 0, ipv6: 0)

    init() {}

    /// Of pods that come in any order. O(n log n).
    init(_ pods: [StoredPod]) {
        var entries: [(key: UInt32, address: IPAddress, pod: Int)] = []
        entries.reserveCapacity(pods.count * 2)
        for (index, pod) in pods.enumerated() {
            for address in pod.addresses {
                entries.append((Self.key(address), address, index))
                note(address, 1)
            }
        }
        entries.sort { ($0.key, $0.address) < ($1.key, $1.address) }
        byAddress = SortedList(count: entries.count) {
            entries[$0].key
        } value: {
            pods[entries[$0].pod]
        }
        count = pods.count
        for pod in pods where pod.addressCount == 0 {
            count -= 1
            insert(pod)
        }
    }

    /// IPv4 first, each in the order of the addresses as far as 31 bits tell; the rest is the order of the addresses themselves.
    private static func key(_ address: IPAddress) -> UInt32 {
        UInt32(truncatingIfNeeded: address.low) & 0x7FFF_FFFF | (address.family == .ipv4 ? 0 : 1 << 31)
    }

    /// The key of pods without an address, as earlier releases stored some: in the order of their versions, before others.
    private static let bareKey = UInt32.max

    /// Pods of the same key are in the order of their addresses; one pod has at most one of a family.
    private static func isBefore(_ address: IPAddress) -> (StoredPod) -> Bool {
        { pod in pod.addresses.first { key($0) == key(address) }.map { $0 < address } ?? true }
    }

    private static func isBareBefore(_ version: UInt64) -> (StoredPod) -> Bool {
        { pod in pod.addressCount == 0 && pod.version < version }
    }

    func held(_ family: IPFamily) -> Int { family == .ipv4 ? held.ipv4 : held.ipv6 }

    private mutating func note(_ address: IPAddress, _ change: Int) {
        if address.family == .ipv4 { held.ipv4 += change } else { held.ipv6 += change }
    }

    mutating func insert(_ pod: StoredPod) {
        count += 1
        for address in pod.addresses {
            let key = Self.key(address)
            byAddress.insert(key, pod, at: byAddress.place(of: key, where: Self.isBefore(address)))
            note(address, 1)
        }
        if pod.addressCount == 0 {
            let place = byAddress.place(of: Self.bareKey, where: Self.isBareBefore(pod.version))
            byAddress.insert(Self.bareKey, pod, at: place)
        }
    }

    mutating func remove(_ pod: StoredPod) {
        var isThere = false
        for address in pod.addresses where remove(pod, Self.key(address), Self.isBefore(address)) {
            note(address, -1)
            isThere = true
        }
        if pod.addressCount == 0 { isThere = remove(pod, Self.bareKey, Self.isBareBefore(pod.version)) }
        if isThere { count -= 1 }
    }

    private mutating func remove(_ pod: StoredPod, _ key: UInt32, _ isBefore: (StoredPod) -> Bool) -> Bool {
        var place = byAddress.place(of: key, where: isBefore)
        while let found = byAddress[place], found.key == key {
            if found.value === pod {
                byAddress.remove(at: place)
                return true
            }
            // Two pods have one address only where the books are at fault, and the audit is to see both.
            place = byAddress.place(after: place)
        }
        return false
    }

    /// The pod that holds the address. O(log n).
    func holder(of address: IPAddress) -> StoredPod? {
        let found = byAddress[byAddress.place(of: Self.key(address), where: Self.isBefore(address))]
        guard let found, found.key == Self.key(address), found.value.addresses.contains(address) else { return nil }
        return found.value
    }

    /// Where a list of the node's pods goes on: behind a pod, which may be gone by then.
    struct PodPlace: Sendable {
        /// Its first one; nil where it has none.
        var address: IPAddress?
        var version: UInt64

        init(address: IPAddress?, version: UInt64) {
            self.address = address
            self.version = version
        }

        init(behind pod: StoredPod) { self.init(address: pod.addresses.first, version: pod.version) }
    }

    /// Calls `body` with each pod once, in the order of their first addresses, from behind a place on, until it returns false.
    func visit(after place: PodPlace?, _ body: (StoredPod) -> Bool) {
        byAddress.visit(from: place.map(start) ?? byAddress.start) { key, pod in
            // Once, at its first address.
            (pod.addresses.first.map(Self.key) ?? Self.bareKey) == key ? body(pod) : true
        }
    }

    /// Calls `body` with each address of a family that a pod holds, from behind one on, until it returns false: in an order that stays,
    /// which is that of the addresses as far as 31 bits tell.
    func visit(_ family: IPFamily, after start: IPAddress?, _ body: (IPAddress, StoredPod) -> Bool) {
        let first: UInt32 = family == .ipv4 ? 0 : 1 << 31
        var place = byAddress.place(of: first) { _ in false }
        if let start {
            place = byAddress.place(of: Self.key(start), where: Self.isBefore(start))
            if holder(of: start) != nil { place = byAddress.place(after: place) }
        }
        byAddress.visit(from: place) { key, pod in
            guard key >> 31 == first >> 31 else { return false }
            // Of those without any nothing is to be told.
            guard let address = pod.addresses.first(where: { Self.key($0) == key }) else { return true }
            return body(address, pod)
        }
    }

    private func start(after place: PodPlace) -> SortedList<UInt32, StoredPod>.Place {
        guard let address = place.address else {
            return byAddress.place(of: Self.bareKey, where: Self.isBareBefore(place.version &+ 1))
        }
        let start = byAddress.place(of: Self.key(address), where: Self.isBefore(address))
        return holder(of: address) == nil ? start : byAddress.place(after: start)
    }
}
