import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// `AllocateServiceIPs` and `UpdateServiceIPs`: decide, claim, commit.
extension Engine {
    func allocate(_ asked: Service, _ adoption: Adoption?, for caller: Caller) {
        let key = StoredService.key(asked.metadata.namespace, asked.metadata.name)
        let isUIDGiven = asked.metadata.uid != nil
        let request = ServiceContext(isUIDGiven: isUIDGiven, asked.writeRequest)
        serviceTurns.take(key, on: caller.executor) { turn in
            guard adoption == nil else {
                return self.adopt(asked, request, key: key, attempts: Engine.attempts, for: caller.holding(turn))
            }
            self.create(asked, request, key: key, attempts: Engine.attempts, for: caller.holding(turn))
        }
    }

    func update(_ asked: Service, for caller: Caller) {
        let key = StoredService.key(asked.metadata)
        let request = ServiceUpdate(asked)
        serviceTurns.take(key, on: caller.executor) { turn in
            self.replace(asked, request, key: key, attempts: Engine.attempts, for: caller.holding(turn))
        }
    }

    // MARK: Under the Service's turn

    private func create(
        _ asked: Service, _ request: ServiceContext, key: String, attempts: Int, for caller: Caller
    ) {
        let round = claimingCalls.enter()
        defer { claimingCalls.leave(round) }
        let stored = books.services[key]
        if let stored, stored.isAnswer(to: asked, request) {
            return caller.succeed(.service(holding: stored.addresses, isReplayed: true, stored.writeServed))
        }
        do throws(APIError) {
            // A name in use is looked at last, as kube-apiserver does: every other fault is reported before it.
            let start = stageStart()
            let plan = try rules.create(asked)
            let decided = stages.end(.decide, start)
            var claimed = try decide(consume plan, over: nil, for: caller)
            stages.end(.claim, decided)
            guard stored == nil else {
                giveBack(claimed.claims)
                throw .alreadyExists(.service, asked.metadata)
            }
            claimed.decision.service.metadata.uid = asked.metadata.uid ?? environment.uid()
            claimed.decision.service.metadata.creationTimestamp = environment.timestamp()
            keep(
                claimed, key: key, over: nil, request, expecting: .absent(ObjectKey(.service, key)), for: caller
            ) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.create(asked, request, key: key, attempts: attempts - 1, for: caller)
                }
                caller.answer(outcome.result { CallResult.service(holding: $0, $1) })
            }
        } catch {
            caller.fail(error)
        }
    }

    private func replace(
        _ asked: Service, _ request: ServiceUpdate, key: String, attempts: Int, for caller: Caller
    ) {
        let round = claimingCalls.enter()
        defer { claimingCalls.leave(round) }
        do throws(APIError) {
            guard let stored = books.services[key] else {
                throw .notFound(.service, name: asked.metadata.name)
            }
            let replayed = stored.update.flatMap { $0.isSame(as: request) ? $0 : nil }
            func replay(_ update: ServiceUpdate) {
                caller.succeed(
                    .service(
                        holding: stored.addresses, released: update.released, isReplayed: true, stored.writeServed))
            }
            if let replayed, !stored.mayLackLoadBalancerIP { return replay(replayed) }
            if replayed == nil { try stored.checkPreconditions(asked.metadata, named: request.named) }
            let old = try stored.decoded()
            var claimed = try decide(
                try rules.update(old, to: asked), over: stored, for: caller)
            claimed.decision.service.metadata.uid = stored.uid
            claimed.decision.service.metadata.creationTimestamp = old.metadata.creationTimestamp
            claimed.decision.service.metadata.resourceVersion = nil
            let held = claimed.addresses
            let released = stored.addresses.filter { !held.contains($0) }
            if Documents.encode(claimed.decision.service.write) == stored.document, stored.kept.isEmpty {
                // Nothing changed: as kube-apiserver does, the version stays and nothing is written.
                giveBack(claimed.claims)
                if let replayed { return replay(replayed) }
                return caller.succeed(.service(holding: stored.addresses, released: [], stored.writeServed))
            }
            let context = ServiceContext(
                request: stored.request, known: stored.longRequest, isUIDGiven: stored.isUIDGiven,
                update: request.releasing(released))
            let expected = Expectation.unchanged(ObjectKey(.service, key), version: stored.version)
            keep(claimed, key: key, over: stored, context, expecting: expected, for: caller) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.replace(asked, request, key: key, attempts: attempts - 1, for: caller)
                }
                caller.answer(outcome.result { CallResult.service(holding: $0, released: released, $1) })
            }
        } catch {
            caller.fail(error)
        }
    }

    /// The addresses that the Service shows are claimed, its members are replaced, and addresses no longer shown are kept.
    private func adopt(
        _ asked: Service, _ request: ServiceContext, key: String, attempts: Int, for caller: Caller
    ) {
        let round = claimingCalls.enter()
        defer { claimingCalls.leave(round) }
        let stored = books.services[key]
        do throws(APIError) {
            if let stored, let uid = asked.metadata.uid, uid != stored.uid, stored.isUIDGiven {
                throw .otherIncarnation(.service, stored.key, uid: stored.uid)
            }
            let old = try stored?.decoded()
            let plan = try rules.adopt(asked, holding: old?.status.ingress ?? [], ports: stored?.knownPorts ?? [])
            var claimed = try decide(consume plan, over: stored, for: caller)
            let isUIDGiven = asked.metadata.uid != nil || stored?.isUIDGiven ?? false
            claimed.decision.service.metadata.uid = asked.metadata.uid ?? stored?.uid ?? environment.uid()
            claimed.decision.service.metadata.creationTimestamp =
                asked.metadata.creationTimestamp ?? old?.metadata.creationTimestamp ?? environment.timestamp()
            claimed.decision.service.metadata.resourceVersion = nil
            // An address that it shows only in `clusterIP` is among the decided ones.
            let clusterIPs = claimed.decision.held.filter { $0.pool != .loadBalancer }
            let shown = Set((holdings(of: asked) + clusterIPs).map(\.address))
            let unshown = (stored?.addresses ?? []).filter { !shown.contains($0) }
            // The addresses that the load balancer keeps are in the object.
            let held = claimed.addresses
            let kept = unshown.filter { !held.contains($0) }
            let shownPorts = Set(claimed.nodePorts.map(\.number))
            let keptPorts = (stored?.holdings ?? []).compactMap(NodePort.init).filter {
                !shownPorts.contains($0.number)
            }
            claimed.nodePorts += keptPorts
            let named = Array(unshown.map(\.description)) + keptPorts.map(\.keptText)
            if let stored, stored.isUIDGiven == isUIDGiven, stored.kept == kept,
                claimed.nodePorts.count == stored.holdings.count(where: { $0.port != nil }),
                Documents.encode(claimed.decision.service.write) == stored.document
            {
                giveBack(claimed.claims)
                return caller.succeed(
                    .service(holding: stored.addresses, kept: named, isReplayed: true, stored.writeServed))
            }
            let context = ServiceContext(request: request.request, isUIDGiven: isUIDGiven, kept: kept)
            let expected = ObjectKey(.service, key)
            keep(
                claimed, key: key, over: stored, context,
                expecting: stored.map { .unchanged(expected, version: $0.version) } ?? .absent(expected), for: caller
            ) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.adopt(asked, request, key: key, attempts: attempts - 1, for: caller)
                }
                caller.answer(outcome.result { CallResult.service(holding: $0, kept: named, $1) })
            }
        } catch {
            caller.fail(error)
        }
    }

    /// Claims the addresses of the plan, all or none, and lets the rules finish the Service.
    private func decide(
        _ plan: consuming ServicePlan, over stored: StoredService?, for caller: Caller
    ) throws(APIError) -> ClaimedService {
        var claims: [Claim] = []
        // The result of each claim; nil where an optional one found no room.
        var addresses = Few<IPAddress?>()
        var full: APIError?
        do throws(APIError) {
            for wanted in plan.claims {
                let isCounted = wanted.pool == .clusterIP && !caller.isDryRun
                do throws(APIError) {
                    let taken = try claim(wanted, for: plan, over: stored, caller)
                    claims.append(taken)
                    addresses.append(taken.range?.network)
                    if isCounted, caller.isFenced { allocations.count(wanted, isTaken: true) }
                } catch {
                    if isCounted, caller.isFenced { allocations.count(wanted, isTaken: false) }
                    // Fewer than it would like it gets only where the others are gone for certain.
                    guard wanted.isOptional, error.fullRange != nil, caller.isFenced else { throw error }
                    full = error
                    addresses.append(nil)
                    continue
                }
            }
            // Behind all of them where the call may be decided once more, so that it is counted once.
            if !caller.isDryRun, !caller.isFenced {
                for (wanted, address) in zip(plan.claims, addresses) where wanted.pool == .clusterIP && address != nil {
                    allocations.count(wanted, isTaken: true)
                }
            }
            let ports = plan.nodePortClaims.isEmpty ? [] : try claimNodePorts(plan, &claims, for: caller)
            let decision = try (consume plan).completed(with: addresses, ports: ports)
            // One of two is enough, none is not.
            if let full, decision.service.status.ingress.isEmpty { throw full }
            let held = heldNodePorts(decision.nodePorts, claimed: ports, stored)
            return ClaimedService(decision: decision, nodePorts: held, claims: claims)
        } catch {
            giveBack(claims)
            throw error
        }
    }

    private func claim(
        _ claim: AddressClaim, for plan: ServicePlan, over stored: StoredService?, _ caller: Caller
    ) throws(APIError) -> Claim {
        if let requested = claim.requested {
            if let stored, stored.holds(requested) { return .own(CIDR(requested)) }
            return try self.claim(requested, claim, for: plan)
        }
        switch claim.pool {
        case .clusterIP:
            if let pool = pools.clusterIP.first(where: { $0.cidr.family == claim.family }) {
                if let address = pool.claim(startingAt: environment.random()) { return .address(pool, address) }
                throw .rangeFull(pool.cidr, for: "service IP")
            }
        case .loadBalancer:
            let pools = pools.loadBalancer.filter { $0.range.family == claim.family }
            for pool in pools {
                if let taken = pool.claim(startingAt: environment.random()) {
                    return .address(taken.part, taken.address)
                }
                // Later ranges are for where the first one is full for certain.
                guard caller.isFenced else { throw .rangeFull(pool.range, for: "load-balancer IP") }
            }
            if let last = pools.last { throw .rangeFull(last.range, for: "load-balancer IP") }
        case .recordedClusterIP: break
        }
        // The rules claim only from families that they were told of, and record only shown addresses.
        throw APIError(.internal, reason: "InternalError", "no \(claim.family) range is configured")
    }

    /// Exactly this one.
    private func claim(
        _ requested: IPAddress, _ claim: AddressClaim, for plan: ServicePlan
    ) throws(APIError) -> Claim {
        let pool: AddressPool?
        let ranges: [String]
        switch claim.pool {
        case .clusterIP:
            pool = pools.clusterIP.first { $0.cidr.family == claim.family }
            ranges = pool.map { [$0.cidr.description] } ?? []
        case .loadBalancer:
            pool = pools.loadBalancer.lazy.compactMap { $0.part(containing: requested) }.first
            ranges = pools.loadBalancer.map(\.range).filter { $0.family == claim.family }.map(\.description)
        case .recordedClusterIP:
            // No range of this server's has a mark for it, or one that others are to keep off.
            if books.isFreeToRecord(requested) { return .own(CIDR(requested)) }
            throw plan.refusal(of: claim, because: .taken, range: "")
        }
        let outcome = pool?.claim(requested) ?? .outOfRange
        if outcome == .claimed, let pool { return .address(pool, requested) }
        throw plan.refusal(
            of: claim, because: outcome == .taken ? .taken : .outOfRange, range: ranges.joined(separator: ", "))
    }

    /// Commits the Service, or - in a dry run - releases all claims and returns the would-be result.
    private func keep(
        _ claimed: consuming ClaimedService, key: String, over old: StoredService?,
        _ context: @autoclosure () -> ServiceContext, expecting expectation: Expectation,
        for caller: Caller, _ done: @escaping @Sendable (ServiceOutcome) -> Void
    ) {
        // A Service that is changed here might be copied for it, and most name no version.
        if claimed.decision.service.metadata.resourceVersion != nil {
            claimed.decision.service.metadata.resourceVersion = nil
        }
        let document = Documents.encode(claimed.decision.service.write)
        let leave: (@Sendable () -> Void)?
        do throws(APIError) {
            let name = claimed.decision.service.metadata.name
            try checkRoom(for: .service, name, document.count, over: old?.documentCount)
            leave = old == nil ? try enterNamespace(claimed.decision.service.metadata.namespace) : nil
        } catch {
            giveBack(claimed.claims)
            return done(.failed(error))
        }
        if caller.isDryRun {
            leave?()
            giveBack(claimed.claims)
            return done(.wouldBe(document))
        }
        let context = context()
        var holdings = claimed.holdings(over: old)
        for address in context.kept {
            if let holding = old?.holding(of: address) { holdings.append(holding) }
        }
        for port in claimed.nodePorts { holdings.append(port.ledgerHolding) }
        let form = StoredForm(document: document, context: context.text, holdings: holdings)
        let stored = StoredService(
            claimed.decision.service, key: key, context, holding: holdings, document: document, isWritten: true)
        let proposal = Proposal(expecting: [expectation], [.put(ObjectKey(.service, key), form)])
        commit(Intent(proposal, Prepared(service: stored), claims: claimed.claims), for: caller) { outcome in
            leave?()
            switch outcome {
            case .kept: done(.kept(stored, document: document))
            case .refused: done(.refused)
            case .failed(let error): done(.failed(error))
            }
        }
    }
}

/// A decided Service and the claims that it rests on.
private struct ClaimedService: Sendable {
    var decision: ServiceDecision
    /// Those of the decision that the Service holds.
    var nodePorts: [NodePort]
    var claims: [Claim]

    /// The Service's future holdings. Present ones keep their kind, whatever the ranges are now.
    func holdings(over stored: StoredService?) -> [Holding] {
        decision.held.map { stored?.holding(of: $0.address) ?? $0.ledgerHolding }
    }

    /// Those of the decision.
    var addresses: Set<IPAddress> { Set(decision.held.map(\.address)) }
}

private enum ServiceOutcome: Sendable {
    case kept(StoredService, document: [UInt8])
    /// Of a dry run: its document.
    case wouldBe([UInt8])
    case refused
    case failed(APIError)

    /// `success` gets the addresses of the Service, and the writer of it as it is served.
    func result(_ success: (Few<IPAddress>, (inout JSONWriter) -> Void) -> CallResult) -> Result<CallResult, APIError> {
        switch self {
        case .kept(let stored, let document):
            .success(success(stored.addresses) { stored.writeServed(document, to: &$0) })
        case .wouldBe(let document): .success(success([]) { $0.text(document) })
        case .refused: .failure(.refusedTooOften)
        case .failed(let error): .failure(error)
        }
    }
}

extension AllocationCounts {
    fileprivate func count(_ claim: AddressClaim, isTaken: Bool) {
        switch (claim.requested != nil, isTaken) {
        case (true, true): count(claim.family, .isStatic)
        case (false, true): count(claim.family, .isDynamic)
        case (true, false): count(claim.family, .staticRefused)
        case (false, false): count(claim.family, .dynamicRefused)
        }
    }
}

extension ServiceHolding {
    var ledgerHolding: Holding {
        let pool: Holding.Pool =
            switch pool {
            case .clusterIP: .serviceIP
            case .loadBalancer: .loadBalancerIP
            case .recordedClusterIP: .recordedIP
            }
        return Holding(pool: pool, address: address)
    }
}

extension Service {
    /// `spec` as it was asked, its members in one order.
    fileprivate func writeRequest(to writer: inout JSONWriter) {
        guard spec.others.count > 1 else { return writeSpec(to: &writer) }
        var sorted = self
        sorted.spec.others.sort()
        sorted.writeSpec(to: &writer)
    }
}

extension StoredService {
    /// Whether this satisfies the request: same uid where one is given, same members under `spec`.
    fileprivate func isAnswer(to asked: Service, _ request: ServiceContext) -> Bool {
        if let uid = asked.metadata.uid, uid != self.uid { return false }
        return isAsked(by: request.request)
    }

    /// `metadata.uid` and `metadata.resourceVersion`, where given, must be the stored ones: compare and set. "0" is none given, as
    /// in Kubernetes.
    fileprivate func checkPreconditions(_ asked: ObjectMeta, named: String) throws(APIError) {
        if let uid = asked.uid, uid != self.uid {
            throw .conflict("service \"\(name)\" is another incarnation now: its uid is \(self.uid), not \(uid)")
        }
        if !named.isEmpty, named != String(version) {
            throw .conflict(
                "service \"\(name)\" has changed: its resourceVersion is \(version), not \(named.cut(toBytes: 100)); "
                    + "read it, make the change again, and send it with the new one")
        }
    }
}

extension StoredService {
    /// Whether an update might find room that was not there: a load balancer has one address of two that it would like.
    fileprivate var mayLackLoadBalancerIP: Bool {
        guard holdings.count(where: { $0.pool == .loadBalancerIP }) == 1, let service = try? decoded() else {
            return false
        }
        return service.spec.ipFamilyPolicy != "SingleStack"
    }
}

extension Books {
    /// Whether a cluster IP that the cluster gave can be recorded: nothing holds it that is given out here.
    fileprivate func isFreeToRecord(_ address: IPAddress) -> Bool {
        if let service = service(holding: address) {
            return service.records(address) && recorderCount(of: address) < Self.maximumRecorders
        }
        return !isTaken(address) && !isForPods(address)
    }
}

extension APIError {
    /// The name belongs to an object of another uid than the one that is to be taken in.
    static func otherIncarnation(_ kind: ObjectKind, _ name: String, uid: Written<ObjectUID>) -> APIError {
        APIError(
            .alreadyExists, reason: "AlreadyExists",
            "\(kind.word) \"\(name)\" is stored with another uid, \(uid): release that incarnation first, if it is gone"
        )
    }

    static func conflict(_ message: String) -> APIError { APIError(.aborted, reason: "Conflict", message) }

    static func alreadyExists(_ kind: ObjectKind, _ metadata: ObjectMeta) -> APIError {
        APIError(
            .alreadyExists, reason: "AlreadyExists",
            "\(kind.word) \"\(metadata.name)\" already exists and asks for something else; "
                + "change it with an update, release it first, or take another name")
    }
}
