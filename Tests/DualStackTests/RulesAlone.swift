import Addressing
import DualStack
import ServiceDecisions
import TandemAPI

/// The rules with the plainest store and pools there can be: a dictionary, and a set of addresses for each range.
final class RulesAlone: ServiceDecider {
    private var services: [String: Service] = [:]
    private var pools: [IPFamily: SetPool] = [:]
    private var rules = ServiceRules(clusterFamilies: [.ipv4])
    private var version = 0
    private let portRange: ClosedRange<UInt16>?
    /// Node ports in use.
    private(set) var ports: Set<UInt16> = []

    init(_ ranges: [String], nodePorts: ClosedRange<UInt16>? = 30_000...32_767) {
        portRange = nodePorts
        restart(ranges)
    }

    func restart(_ ranges: [String]) {
        let ranges = ranges.compactMap { CIDR($0) }
        rules = ServiceRules(clusterFamilies: ranges.map(\.family), handsOutNodePorts: portRange != nil)
        pools = Dictionary(uniqueKeysWithValues: ranges.map { ($0.family, SetPool(range: $0)) })
        for holding in services.values.flatMap({ holdings(of: $0) }) {
            pools[holding.address.family]?.take(holding.address)
        }
    }

    func create(_ json: JSONValue) -> DecisionAnswer {
        answer { () throws(APIError) in
            let asked = try service(json)
            let decision = try decide(try rules.create(asked)) { () throws(APIError) in
                if services[asked.metadata.name] != nil { throw Self.nameTaken }
            }
            return keep(decision.service)
        }
    }

    func replace(_ json: JSONValue) -> DecisionAnswer {
        answer { () throws(APIError) in
            let asked = try service(json)
            guard let stored = services[asked.metadata.name] else {
                throw .notFound(.service, name: asked.metadata.name)
            }
            if asked.metadata.resourceVersion != stored.metadata.resourceVersion {
                throw APIError(.aborted, reason: "Conflict", "not the current version")
            }
            let decision = try decide(try rules.update(stored, to: asked))
            for holding in decision.released { pools[holding.address.family]?.giveBack(holding.address) }
            let had = nodePorts(of: stored).map(\.number)
            ports.subtract(Set(had).subtracting(decision.nodePorts.map(\.number)))
            return keep(decision.service)
        }
    }

    func get(_ name: String) -> DecisionAnswer {
        answer { () throws(APIError) in
            guard let stored = services[name] else { throw .notFound(.service, name: name) }
            return stored
        }
    }

    func release(_ name: String) -> Int {
        guard let stored = services.removeValue(forKey: name) else { return 0 }
        let held = holdings(of: stored)
        for holding in held { pools[holding.address.family]?.giveBack(holding.address) }
        ports.subtract(nodePorts(of: stored).map(\.number))
        return held.count
    }

    /// Every address in use, by the pools and by the objects: one and the same, at all times.
    var addressesInUse: (pools: Set<IPAddress>, services: [IPAddress]) {
        let configured = services.values.flatMap { holdings(of: $0) }.map(\.address).filter { pools[$0.family] != nil }
        return (pools.values.reduce(into: []) { $0.formUnion($1.taken) }, configured)
    }

    /// Every node port that a Service has: the same as `ports`, each Service's once.
    var shownPorts: [UInt16] { services.values.flatMap { Set(nodePorts(of: $0).map(\.number)) } }

    private static let nameTaken = APIError(.alreadyExists, reason: "AlreadyExists", "the name is in use")

    // MARK: Steps

    private func decide(
        _ plan: ServicePlan, then check: () throws(APIError) -> Void = {}
    ) throws(APIError) -> ServiceDecision {
        var taken: [IPAddress] = []
        let portsBefore = ports
        do throws(APIError) {
            for claim in plan.claims {
                guard let pool = pools[claim.family] else {
                    throw APIError(.internal, reason: "InternalError", "claims of a family that is not there")
                }
                if let requested = claim.requested {
                    if let failure = pool.failure(requested) {
                        throw plan.refusal(of: claim, because: failure, range: pool.range.description)
                    }
                    taken.append(requested)
                } else if let free = pool.firstFree {
                    taken.append(free)
                } else {
                    throw .rangeFull(pool.range, for: "service IP")
                }
                if let address = taken.last { pools[claim.family]?.take(address) }
            }
            var claimed: [UInt16] = []
            for claim in portRange == nil ? [] : plan.nodePortClaims { claimed.append(try take(claim, for: plan)) }
            let decision = try plan.completed(with: Few(taken), ports: claimed)
            try check()
            return decision
        } catch {
            ports = portsBefore
            for address in taken { pools[address.family]?.giveBack(address) }
            throw error
        }
    }

    private func take(_ claim: NodePortClaim, for plan: ServicePlan) throws(APIError) -> UInt16 {
        let range = portRange ?? 1...1
        if let requested = claim.requested {
            guard let port = UInt16(exactly: requested), range.contains(port) else {
                throw plan.refusal(of: claim, because: .outOfRange, range: range)
            }
            guard ports.insert(port).inserted else { throw plan.refusal(of: claim, because: .taken, range: range) }
            return port
        }
        guard let port = range.first(where: { !ports.contains($0) }) else { throw .nodePortsFull(range) }
        ports.insert(port)
        return port
    }

    private func keep(_ service: Service) -> Service {
        version += 1
        var service = service
        service.metadata.resourceVersion = String(version)
        services[service.metadata.name] = service
        return service
    }

    private func service(_ json: JSONValue) throws(APIError) -> Service {
        do throws(JSONError) {
            var service = try JSONReader.read(json.text.bytes) { reader throws(JSONError) in
                try Service(from: &reader)
            }
            service.metadata.namespace = "default"
            return service
        } catch {
            throw APIError(.invalidArgument, reason: "Invalid", "\(error)")
        }
    }

    private func answer(_ body: () throws(APIError) -> Service) -> DecisionAnswer {
        do throws(APIError) {
            var writer = JSONWriter()
            try body().write(to: &writer)
            return .service((try? JSONValue(parsing: writer.bytes)) ?? .null)
        } catch {
            var causes = error.causes.map { "\($0.field) \($0.reason.rawValue)" }.sorted()
            if let full = error.fullRange { causes = [full.family.description] }
            if error.fullPorts != nil { causes = ["ports"] }
            return .refused(status: error.status.name, causes: causes)
        }
    }
}

/// A range and the set of its taken addresses; draws the lowest that is free.
struct SetPool {
    let range: CIDR
    private(set) var taken: Set<IPAddress> = []

    init(range: CIDR) {
        self.range = range
    }

    mutating func take(_ address: IPAddress) {
        if range.contains(address) { taken.insert(address) }
    }

    mutating func giveBack(_ address: IPAddress) { taken.remove(address) }

    func failure(_ address: IPAddress) -> ClaimFailure? {
        if !range.contains(address) || address == range.first { return .outOfRange }
        if range.family == .ipv4, address == range.last { return .outOfRange }
        return taken.contains(address) ? .taken : nil
    }

    var firstFree: IPAddress? {
        var offset: UInt128 = 1
        while let address = range.address(at: offset) {
            guard let failure = failure(address) else { return address }
            if failure == .outOfRange { return nil }
            offset += 1
        }
        return nil
    }
}
