import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// Node ports on their way from a Service's needs to its holdings.
extension Engine {
    /// Claims the ports of the plan; claims are appended also where the rest is not available.
    func claimNodePorts(
        _ plan: borrowing ServicePlan, _ claims: inout [Claim], for caller: Caller
    ) throws(APIError) -> [UInt16] {
        guard let pool = pools.nodePorts else { return [] }
        var ports: [UInt16] = []
        for claim in plan.nodePortClaims {
            let port = Result { () throws(APIError) in try self.claim(claim, from: pool, for: plan) }
            let isTaken = (try? port.get()) != nil
            if !caller.isDryRun, isTaken || caller.isFenced { allocations.count(claim, isTaken: isTaken) }
            ports.append(try port.get())
            claims.append(.nodePort(pool, ports[ports.count - 1]))
        }
        return ports
    }

    private func claim(
        _ claim: NodePortClaim, from pool: PortPool, for plan: borrowing ServicePlan
    ) throws(APIError) -> UInt16 {
        guard let requested = claim.requested else {
            guard let port = pool.claim(startingAt: environment.random()) else { throw .nodePortsFull(pool.range) }
            return port
        }
        let outcome = UInt16(exactly: requested).map { ($0, pool.claim($0)) }
        switch outcome {
        case (let port, .claimed)?: return port
        case (_, .taken)?: throw plan.refusal(of: claim, because: .taken, range: pool.range)
        default: throw plan.refusal(of: claim, because: .outOfRange, range: pool.range)
        }
    }

    /// Of the ports that a Service shows those that it holds: ports that it has claimed, and ports that it held. A port only shown, as it came while none
    /// were handed out, it holds from now on unless another Service does.
    func heldNodePorts(_ shown: [NodePort], claimed: [UInt16], _ stored: StoredService?) -> [NodePort] {
        guard !shown.isEmpty else { return [] }
        let had = Set(claimed).union(stored?.holdings.compactMap(\.port) ?? [])
        return shown.filter { port in
            had.contains(port.number)
                || pools.nodePorts != nil && books.service(holding: port.number) == nil
        }
    }
}

extension AllocationCounts {
    fileprivate func count(_ claim: NodePortClaim, isTaken: Bool) {
        switch (claim.requested != nil, isTaken) {
        case (true, true): count(nodePort: .isStatic)
        case (false, true): count(nodePort: .isDynamic)
        case (true, false): count(nodePort: .staticRefused)
        case (false, false): count(nodePort: .dynamicRefused)
        }
    }
}

extension NodePort {
    /// nil for an address or a CIDR.
    init?(_ holding: Holding) {
        guard case .port(let transport, let number) = holding else { return nil }
        switch transport {
        case .tcp: self.init(.tcp, number)
        case .udp: self.init(.udp, number)
        case .sctp: self.init(.sctp, number)
        }
    }

    /// Among the addresses that an object keeps.
    var keptText: String { "nodePort/\(number)" }

    var ledgerHolding: Holding {
        switch transport {
        case .tcp: .port(.tcp, number)
        case .udp: .port(.udp, number)
        case .sctp: .port(.sctp, number)
        }
    }
}
