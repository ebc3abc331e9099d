import Addressing
import Ledger

/// Hashes of the books' entries, whose sum is their digest: the same on every server, so that servers can compare their books.
struct DigestHash {
    private var hash: UInt64 = 0xcbf2_9ce4_8422_2325

    init(_ kind: RecordKind, _ version: UInt64) {
        add(UInt64(kind.rawValue))
        add(version)
    }

    mutating func add(_ word: UInt64) {
        hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 32
    }

    mutating func add(_ text: String) {
        add(text.shardHash)
        add(UInt64(text.utf8.count))
    }

    mutating func add(_ address: IPAddress, length: Int) {
        add(UInt64(address.family.rawValue) << 8 | UInt64(length))
        add(address.high)
        add(address.low)
    }

    mutating func add(_ holding: Holding) {
        switch holding {
        case .range(let pool, let range):
            add(UInt64(pool.rawValue))
            add(range.network, length: range.prefixLength)
        case .port(let transport, let port): add(UInt64(transport.rawValue) << 16 | UInt64(port))
        }
    }

    var value: UInt64 { hash }
}

extension StoredService {
    var digest: UInt64 {
        var hash = DigestHash(.service, version)
        hash.add(key)
        visitHoldings { hash.add($0) }
        return hash.value
    }
}

extension NodeRecord {
    var digest: UInt64 {
        var hash = DigestHash(.node, version)
        hash.add(name)
        for cidr in podCIDRs { hash.add(cidr.network, length: cidr.prefixLength) }
        return hash.value
    }
}

extension StoredNode {
    /// Of its release having begun.
    var releasingDigest: UInt64 {
        var hash = DigestHash(.node, created)
        hash.add("releasing/\(name)")
        return hash.value
    }
}

extension StoredPod {
    var digest: UInt64 {
        withIdentity { Self.digest($0, on: incarnation.name, holding: addresses, version: version) }
    }

    /// The same of its parts, where they are at hand.
    static func digest(
        _ identity: UnsafeRawBufferPointer, on node: String, holding addresses: Few<IPAddress>, version: UInt64
    ) -> UInt64 {
        var hash = DigestHash(.pod, version)
        hash.add(node)
        hash.add(shardHash(of: identity))
        for address in addresses { hash.add(address, length: address.family.addressBits) }
        return hash.value
    }
}

/// Of a range that cools.
func coolingDigest(_ range: CIDR, _ version: UInt64) -> UInt64 {
    var hash = DigestHash(.cooling, version)
    hash.add(range.network, length: range.prefixLength)
    return hash.value
}
