import Addressing
public import Allocation

extension AddressPool {
    /// A Service range of 2^`sizeShift` addresses of which the given share is taken, at random, none favoured.
    ///
    /// - Parameter freePerMillion: how many addresses of a million stay free; at least one does unless it is 0.
    public static func filled(sizeShift: Int, freePerMillion: Int, seed: UInt64 = 1) -> AddressPool {
        let cidr = CIDR(containing: IPAddress("10.0.0.0")!, prefixLength: 32 - sizeShift)
        let pool = AddressPool(cidr, layout: .services)
        guard freePerMillion < 1_000_000 else {
            // Empty, but with its memory made, as it is after the first use.
            for offset in stride(from: 1, to: cidr.size - 1, by: 4096) {
                let address = cidr.address(at: offset)!
                _ = pool.claim(address)
                pool.release(address)
            }
            return pool
        }
        for offset in 1..<cidr.size - 1 { _ = pool.claim(cidr.address(at: offset)!) }
        var random = RandomBits(seed: seed)
        var free = freePerMillion == 0 ? 0 : max(1, Int(pool.capacity) * freePerMillion / 1_000_000)
        while free > 0 {
            let offset = UInt128(random.next() % UInt64(cidr.size - 2)) + 1
            if pool.release(cidr.address(at: offset)!) { free -= 1 }
        }
        return pool
    }
}
