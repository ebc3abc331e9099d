import Addressing
import Allocation
import DualStack
import Ledger
import TandemAPI

/// `AllocateServiceIPs` and `UpdateServiceIPs`: decide, claim, commit.
extension Engine {
    func allocate(_ asked: Service, for caller: Caller) {
        let key = StoredService.key(asked.metadata)
        let request = asked.request
        serviceTurns.take(key, on: caller.executor) { turn in
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
        _ asked: Service, _ request: [UInt8], key: String, attempts: Int, for caller: Caller
    ) {
        let stored = books.services[key]
        if let stored, stored.isAnswer(to: asked, request) {
            return caller.succeed(.service(stored.served, holding: stored.addresses, isReplayed: true))
        }
        do throws(APIError) {
            // A name in use is looked at last, as kube-apiserver does: every other fault is reported before it.
            let start = stageStart()
            let plan = try rules.create(asked)
            let decided = stages.end(.decide, start)
            var claimed = try decide(plan, stored: nil, isDryRun: caller.isDryRun)
            stages.end(.claim, decided)
            guard stored == nil else {
                giveBack(claimed.claims)
                throw .alreadyExists(.service, asked.metadata)
            }
            claimed.decision.service.metadata.uid = asked.metadata.uid ?? environment.uuid()
            claimed.decision.service.metadata.creationTimestamp = environment.timestamp()
            let isUIDGiven = asked.metadata.uid != nil
            keep(
                claimed, ServiceContext(request: StoredRequest(text: request), isUIDGiven: isUIDGiven),
                expecting: .absent(ObjectKey(.service, key)), for: caller
            ) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.create(asked, request, key: key, attempts: attempts - 1, for: caller)
                }
                caller.answer(outcome.result { CallResult.service($0, holding: $1) })
            }
        } catch {
            caller.fail(error)
        }
    }

    private func replace(
        _ asked: Service, _ request: ServiceUpdate, key: String, attempts: Int, for caller: Caller
    ) {
        do throws(APIError) {
            guard let stored = books.services[key] else {
                throw .notFound(.service, name: asked.metadata.name)
            }
            if let update = stored.context.update, update.isSame(as: request) {
                return caller.succeed(
                    .service(
                        stored.served, holding: stored.addresses, released: update.released, isReplayed: true))
            }
            try stored.checkPreconditions(asked.metadata, named: request.named)
            let old = try stored.decoded()
            var claimed = try decide(
                try rules.update(old, to: asked), stored: stored, isDryRun: caller.isDryRun)
            claimed.decision.service.metadata.uid = stored.uid
            claimed.decision.service.metadata.creationTimestamp = old.metadata.creationTimestamp
            claimed.decision.service.metadata.resourceVersion = nil
            let released = claimed.decision.released.map(\.address)
            if Documents.encode(claimed.decision.service.write) == stored.document {
                // Nothing changed: as kube-apiserver does, the version stays and nothing is written.
                giveBack(claimed.claims)
                return caller.succeed(.service(stored.served, holding: stored.addresses, released: []))
            }
            let context = ServiceContext(
                request: stored.context.request, isUIDGiven: stored.context.isUIDGiven,
                update: request.releasing(released))
            let expected = Expectation.unchanged(ObjectKey(.service, key), version: stored.version)
            keep(claimed, context, expecting: expected, for: caller) { outcome in
                if case .refused = outcome, attempts > 1 {
                    return self.replace(asked, request, key: key, attempts: attempts - 1, for: caller)
                }
                caller.answer(outcome.result { CallResult.service($0, holding: $1, released: released) })
            }
        } catch {
            caller.fail(error)
        }
    }

    /// Claims what the plan needs, all or none, and lets the rules finish the Service.
    private func decide(
        _ plan: consuming ServicePlan, stored: StoredService?, isDryRun: Bool
    ) throws(APIError) -> ClaimedService {
        var claims: [Claim] = []
        claims.reserveCapacity(plan.claims.count + plan.nodePortClaims.count)
        do throws(APIError) {
            for wanted in plan.claims {
                let claim = Result { () throws(APIError) in try self.claim(wanted, for: plan) }
                if wanted.pool == .clusterIP, !isDryRun {
                    allocations.count(wanted, isTaken: (try? claim.get()) != nil)
                }
                claims.append(try claim.get())
            }
            let addresses = claims.compactMap(\.range?.network)
            let ports = try claimNodePorts(plan, &claims, isDryRun: isDryRun)
            let decision = try (consume plan).completed(with: addresses, ports: ports)
            let held = heldNodePorts(decision.nodePorts, claimed: ports, stored)
            return ClaimedService(decision: decision, nodePorts: held, claims: claims)
        } catch {
            giveBack(claims)
            throw error
        }
    }

    private func claim(_ claim: AddressClaim, for plan: ServicePlan) throws(APIError) -> Claim {
        guard let pool = pools.addressPool(claim.pool, claim.family) else {
            // The rules claim only from families that they were told of.
            throw APIError(.internal, reason: "InternalError", "no \(claim.family) range is configured")
        }
        guard let requested = claim.requested else {
            guard let address = pool.claim(startingAt: environment.random()) else {
                throw .rangeFull(
                    pool.cidr, for: claim.pool == .clusterIP ? "service IP" : "load-balancer IP")
            }
            return .address(pool, address)
        }
        switch pool.claim(requested) {
        case .claimed: return .address(pool, requested)
        case .taken: throw plan.refusal(of: claim, because: .taken, range: pool.cidr)
        case .reserved, .outOfRange: throw plan.refusal(of: claim, because: .outOfRange, range: pool.cidr)
        }
    }

    /// Commits the Service, or - in a dry run - gives everything back and shows what would have been.
    private func keep(
        _ claimed: consuming ClaimedService, _ context: @autoclosure () -> ServiceContext,
        expecting expectation: Expectation,
        for caller: Caller, _ done: @escaping @Sendable (ServiceOutcome) -> Void
    ) {
        claimed.decision.service.metadata.resourceVersion = nil
        let document = Documents.encode(claimed.decision.service.write)
        if caller.isDryRun {
            giveBack(claimed.claims)
            return done(.kept(document, holding: []))
        }
        let context = context()
        var form = StoredForm(
            document: document, context: context.text, holdings: claimed.decision.held.map(\.ledgerHolding))
        for port in claimed.nodePorts { form.holdings.append(port.ledgerHolding) }
        let stored = StoredService(
            claimed.decision.service, context, holding: form.holdings, document: document)
        let proposal = Proposal(expecting: [expectation], [.put(ObjectKey(.service, stored.key), form)])
        commit(Intent(proposal, Prepared(service: stored), claims: claimed.claims), for: caller) { outcome in
            switch outcome {
            case .kept: done(.kept(stored.served, holding: stored.addresses))
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
}

private enum ServiceOutcome: Sendable {
    /// With the object as it is served.
    case kept([UInt8], holding: [IPAddress])
    case refused
    case failed(APIError)

    func result(_ success: ([UInt8], [IPAddress]) -> CallResult) -> Result<CallResult, APIError> {
        switch self {
        case .kept(let document, let addresses): .success(success(document, addresses))
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
        Holding(pool: pool == .clusterIP ? .serviceIP : .loadBalancerIP, address: address)
    }
}

extension Service {
    /// `spec` as it was asked, its members in one order.
    fileprivate var request: [UInt8] {
        var spec = spec
        spec.others.sort()
        return Documents.encode(spec.write)
    }
}

extension StoredService {
    /// Whether this is what the request asks for: same uid where one is given, same members under `spec`.
    fileprivate func isAnswer(to asked: Service, _ request: [UInt8]) -> Bool {
        if let uid = asked.metadata.uid, uid != self.uid { return false }
        return context.request.means(request)
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

extension APIError {
    static func conflict(_ message: String) -> APIError { APIError(.aborted, reason: "Conflict", message) }

    static func alreadyExists(_ kind: ObjectKind, _ metadata: ObjectMeta) -> APIError {
        APIError(
            .alreadyExists, reason: "AlreadyExists",
            "\(kind.word) \"\(metadata.name)\" already exists and asks for something else; "
                + "change it with an update, release it first, or take another name")
    }
}
