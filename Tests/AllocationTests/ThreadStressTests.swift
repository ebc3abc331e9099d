import Addressing
import Allocation
import Synchronization
import TestSupport
import Testing

/// The holder of each address or subnet, kept beside the pool by the test: one held twice, or released while not held, counts.
private final class Owners: @unchecked Sendable {
    // @unchecked: the memory is atomic, and freed in deinit alone. (A Mutex would do, had ThreadSanitizer eyes for it.)
    private let isHeld: UnsafeMutablePointer<Atomic<Bool>>
    private let faults = Atomic(0)

    init(count: Int) {
        isHeld = .allocate(capacity: count)
        for index in 0..<count { (isHeld + index).initialize(to: Atomic(false)) }
    }

    deinit { isHeld.deallocate() }

    // Relaxed: the pool's own orderings are on trial, and must not be helped.
    func took(_ index: UInt128?) {
        guard let index, !isHeld[Int(index)].exchange(true, ordering: .relaxed) else { return count() }
    }

    func gives(_ index: UInt128?) {
        guard let index, isHeld[Int(index)].exchange(false, ordering: .relaxed) else { return count() }
    }

    private func count() { faults.wrappingAdd(1, ordering: .relaxed) }

    var faultCount: Int { faults.load(ordering: .relaxed) }
}

@Suite(.serialized) struct ThreadStressTests {
    /// Threads that claim in all ways and release, in a pool filled so far that the marks are always on the move.
    @Test(arguments: [
        ("10.0.0.0/28", 4), ("10.0.0.0/26", 20), ("10.0.0.0/24", 20), ("10.0.0.0/20", 12), ("10.0.0.0/18", 40),
        ("10.0.0.0/13", 64), ("fd00::/114", 30),
    ])
    func noAddressIsEverHeldTwice(_ range: String, _ free: Int) throws {
        let cidr = try CIDR(parsing: range)
        let pool = AddressPool(cidr, layout: .services)
        var random = SeededGenerator(seed: 1)
        var background: [IPAddress] = []
        for _ in 0..<pool.capacity { background.append(try #require(pool.claim(startingAt: random.next()))) }
        background.shuffle(using: &random)
        let shared = background.prefix(free)
        for address in shared { #expect(pool.release(address)) }
        let owners = Owners(count: Int(cidr.size))
        runThreads(4) { [shared] number in
            var random = SeededGenerator(seed: UInt64(number))
            var mine: [IPAddress] = []
            for _ in 0..<10_000 {
                if mine.count < free / 3, Bool.random(using: &random) {
                    let address: IPAddress?
                    switch random.next() % 3 {
                    case 0: address = pool.claim(startingAt: random.next())
                    case 1: address = pool.claimNext()
                    default:
                        let wanted = shared.randomElement(using: &random)
                        address = wanted.flatMap { pool.claim($0) == .claimed ? $0 : nil }
                    }
                    if let address {
                        owners.took(cidr.offset(of: address))
                        mine.append(address)
                    }
                } else if !mine.isEmpty {
                    let address = mine.remove(at: Int.random(in: 0..<mine.count, using: &random))
                    owners.gives(cidr.offset(of: address))
                    pool.release(address)
                }
            }
            for address in mine {
                owners.gives(cidr.offset(of: address))
                pool.release(address)
            }
        }
        #expect(owners.faultCount == 0, "\(range)")
        pool._checkInvariants()
        // Nothing was lost: all that is free can be claimed, and then nothing more.
        for _ in 0..<free { #expect(pool.claim(startingAt: random.next()) != nil, "\(range)") }
        #expect(pool.claim(startingAt: random.next()) == nil)
        for address in background { #expect(pool.release(address), "\(range)") }
        #expect(pool.allocatedCount == 0)
        pool._checkInvariants()
    }

    /// As many free addresses as threads, each of which holds at most one: so there is a free one whenever one is asked for,
    /// and "full" would be a lie however the threads interleave.
    @Test(arguments: ["10.0.0.0/29", "10.0.0.0/26", "10.0.0.0/20", "10.0.0.0/17", "10.0.0.0/13"])
    func fullIsNeverSaidWhileThereIsAFreeOne(_ range: String) throws {
        let threads = 4
        for seed in UInt64(1)...4 {
            let pool = AddressPool(try CIDR(parsing: range), layout: .loadBalancers)
            var random = SeededGenerator(seed: seed)
            var all: [IPAddress] = []
            while let address = pool.claim(startingAt: random.next()) { all.append(address) }
            #expect(UInt128(all.count) == pool.capacity)
            for address in all.shuffled(using: &random).prefix(threads) { pool.release(address) }
            let lies = Atomic(0)
            runThreads(threads) { number in
                var random = SeededGenerator(seed: seed << 8 | UInt64(number))
                for _ in 0..<10_000 {
                    let address = random.next() & 7 == 0 ? pool.claimNext() : pool.claim(startingAt: random.next())
                    guard let address else {
                        lies.wrappingAdd(1, ordering: .relaxed)
                        continue
                    }
                    pool.release(address)
                }
            }
            #expect(lies.load(ordering: .relaxed) == 0, "\(range), seed \(seed)")
            pool._checkInvariants()
            #expect(UInt128(pool.allocatedCount) == pool.capacity - UInt128(threads))
        }
    }

    /// As above, between ranges that are excluded and have free addresses themselves.
    @Test(arguments: ["10.0.0.0/28", "10.0.0.0/24", "10.0.0.0/20", "10.0.0.0/17", "10.0.0.0/13"])
    func fullIsNeverSaidOfTheGapsWhileThereIsAFreeOne(_ range: String) throws {
        let threads = 4
        let cidr = try CIDR(parsing: range)
        let excluded =
            [3, 8].map { CIDR(containing: cidr.address(at: $0)!, prefixLength: 30) }
            + [cidr.address(at: cidr.size / 2 + 5)!].map { CIDR($0) }
            + [CIDR(containing: cidr.address(at: cidr.size / 2 - 1)!, prefixLength: min(cidr.prefixLength + 3, 32))]
        for seed in UInt64(1)...(cidr.size > 1 << 18 ? 1 : 4) {
            let pool = AddressPool(cidr, layout: .loadBalancers)
            var random = SeededGenerator(seed: seed)
            pool.setExcluded(excluded)
            var all: [IPAddress] = []
            while let address = pool.claimNext() { all.append(address) }
            #expect(UInt128(all.count) == pool.capacity - pool.excludedCount)
            for address in all.shuffled(using: &random).prefix(threads) { pool.release(address) }
            let lies = Atomic(0)
            runThreads(threads) { number in
                var random = SeededGenerator(seed: seed << 8 | UInt64(number))
                for _ in 0..<2_000 {
                    let address = random.next() & 7 == 0 ? pool.claimNext() : pool.claim(startingAt: random.next())
                    guard let address else {
                        lies.wrappingAdd(1, ordering: .relaxed)
                        continue
                    }
                    pool.release(address)
                }
            }
            #expect(lies.load(ordering: .relaxed) == 0, "\(range), seed \(seed)")
            pool._checkInvariants()
            #expect(pool.allocatedCount == all.count - threads)
        }
    }

    /// The exclusions change all the time. A claim that began after one list was set, and ended before the next one was,
    /// gives no address of it; and none says "full", as half of the range is always free.
    @Test(arguments: ["10.0.0.0/24", "10.0.0.0/16", "fd00::/64"])
    func noClaimLandsInWhatWasExcludedBefore(_ range: String) throws {
        let cidr = try CIDR(parsing: range)
        let length = max(cidr.prefixLength, cidr.family.addressBits - 12)
        let part = CIDR(containing: cidr.first, prefixLength: length)
        // In turn; the stage is odd while one is in force.
        let lists: [[CIDR]] = [
            [part.subnet(at: 0, prefixLength: length + 1)!], [part.subnet(at: 1, prefixLength: length + 1)!],
            (0..<8).map { part.subnet(at: $0 * 2, prefixLength: length + 4)! }, [],
        ]
        let pool = AddressPool(cidr, layout: .services)
        let stage = Atomic(0)
        let working = Atomic(3)
        let claims = Atomic(0)
        let judged = Atomic(0)
        let faults = Atomic(0)
        runThreads(4) { number in
            if number == 0 {
                var turn = 0
                while working.load(ordering: .acquiring) > 0 {
                    stage.store(turn * 2, ordering: .sequentiallyConsistent)
                    pool.setExcluded(lists[turn % lists.count])
                    stage.store(turn * 2 + 1, ordering: .sequentiallyConsistent)
                    turn += 1
                    // Some claims begin and end before the next.
                    let enough = claims.load(ordering: .relaxed) + 12
                    while claims.load(ordering: .relaxed) < enough, working.load(ordering: .acquiring) > 0 {}
                }
                return
            }
            var random = SeededGenerator(seed: UInt64(number))
            for _ in 0..<20_000 {
                claims.wrappingAdd(1, ordering: .relaxed)
                let before = stage.load(ordering: .sequentiallyConsistent)
                var address: IPAddress?
                switch random.next() % 3 {
                case 0: address = pool.claim(startingAt: random.next())
                case 1: address = pool.claimNext()
                default:
                    let wanted = cidr.address(at: UInt128(random.next() % UInt64(part.size - 2) + 1))!
                    guard pool.claim(wanted) == .claimed else { continue }
                    address = wanted
                }
                let after = stage.load(ordering: .sequentiallyConsistent)
                guard let address else {
                    faults.wrappingAdd(1, ordering: .relaxed)
                    continue
                }
                let isInForce = before == after && before % 2 == 1
                if isInForce {
                    judged.wrappingAdd(1, ordering: .relaxed)
                    if lists[before / 2 % lists.count].contains(where: { $0.contains(address) }) {
                        faults.wrappingAdd(1, ordering: .relaxed)
                    }
                }
                if !pool.release(address) { faults.wrappingAdd(1, ordering: .relaxed) }
            }
            working.wrappingSubtract(1, ordering: .releasing)
        }
        #expect(faults.load(ordering: .relaxed) == 0)
        #expect(judged.load(ordering: .relaxed) > 1_000)
        #expect(pool.allocatedCount == 0)
        pool._checkInvariants()
    }

    /// Blocks, nodes, cells and windows are made by several threads at once.
    @Test func partsMadeAtTheSameTimeAreMadeOnce() throws {
        for seed in UInt64(1)...30 {
            let cidr = try CIDR(parsing: "fd00::/64")
            let pool = AddressPool(cidr, layout: .pods)
            let claimed = Atomic(0)
            runThreads(4) { number in
                var random = SeededGenerator(seed: seed)
                for _ in 0..<300 {
                    let offset = 2 + UInt128(random.next()) >> (random.next() % 60)
                    guard let address = cidr.address(at: offset) else { continue }
                    if pool.claim(address) == .claimed { claimed.wrappingAdd(1, ordering: .relaxed) }
                    if pool.claimNext() != nil { claimed.wrappingAdd(1, ordering: .relaxed) }
                }
            }
            #expect(pool.allocatedCount == claimed.load(ordering: .relaxed), "seed \(seed)")
            pool._checkInvariants()
        }
    }

    @Test func subnetsAreHandedOutOnce() throws {
        let cluster = try CIDR(parsing: "10.0.0.0/8")
        let pool = SubnetPool(cluster: cluster, nodePrefixLength: 22)
        let owners = Owners(count: 1 << 14)
        let count = Atomic(0)
        runThreads(4) { _ in
            while let subnet = pool.claimNext() {
                owners.took(cluster.indexOfSubnet(subnet))
                count.wrappingAdd(1, ordering: .relaxed)
            }
        }
        #expect(owners.faultCount == 0)
        #expect(count.load(ordering: .relaxed) == 1 << 14)
        pool._checkInvariants()
    }
}
