import KubeAPI
import Logging
import Reconciliation
import TandemAPI
import TandemClient

/// The outcome of one turn of an object.
struct TurnOutcome: Sendable {
    var queue: WorkQueue<ObjectKey>.Outcome
    /// A range had no room.
    var isFull = false
    var hasReleased = false
    var isPostponed = false
}

extension Controller {
    /// Steps of one look; it takes seven at most where no other program interferes.
    private static let maximumSteps = 20

    func work(_ key: ObjectKey, givesNothing: Bool) async -> TurnOutcome {
        do {
            switch key {
            case .node(let name):
                let held = try await tandem.node(name)
                let away = goneSince[name].map { now - $0 }
                let pass = NodePass(
                    name: name, shown: nodes[name], held: held,
                    isOverdue: away.map { $0 >= settings.gracePeriod } ?? false)
                return await go(key, pass, left: away.map { settings.gracePeriod - $0 }, uid: nodes[name]?.uid)
            case .service(let namespace, let name):
                let held = try await tandem.service(namespace, name)
                let pass = LoadBalancerPass(
                    namespace: namespace, name: name, classes: settings.classes, shown: services[key], held: held,
                    givesNothing: givesNothing)
                return await go(key, pass, uid: services[key]?.uid)
            case .pod:
                guard let shown = pods[key] else { return TurnOutcome(queue: .done) }
                var pass = PodPass(shown: shown, held: nil)
                guard let question = pass.question else { return TurnOutcome(queue: .done) }
                pass = PodPass(shown: shown, held: try await tandem.pod(question))
                return await go(key, pass, uid: shown.uid)
            }
        } catch {
            return failed(key, "look", error)
        }
    }

    /// Takes a pass's steps until it is finished or something fails. `left` is the number of objects that an absent node still has.
    private func go(
        _ key: ObjectKey, _ begun: some Pass, left: Duration? = nil, uid: String?
    ) async -> TurnOutcome {
        var pass = begun
        var outcome = TurnOutcome(queue: .done)
        // Before it was given anything.
        var certain: [String]?
        for _ in 0..<Self.maximumSteps {
            if Task.isCancelled { return failed(key, "look", CancellationError()) }
            switch pass.next() {
            case .finished(let finding):
                finish(key, finding, left, &outcome)
                if finding == .ungiven, !isDryRun { await reportUngiven(key, uid) }
                return outcome
            case .look:
                if let failure = await look(key, for: &pass) { return failure }
            case .call(let call):
                if call.purpose == .allocate || call.purpose == .update { certain = certain ?? pass.certain }
                do {
                    let answer = try await tandem.call(call.method, isDryRun ? call.supposed : call.params)
                    pass.answered(call, answer)
                    if call.purpose == .release || call.purpose == .vacate { outcome.hasReleased = true }
                    decided(
                        Decision(call, answer, of: key, isSupposed: isDryRun) { given in
                            words(given, certain ?? pass.certain)
                        })
                    if pass.isShown, !isDryRun { await report(call, answer, of: key, uid: uid) }
                } catch let error as APIError {
                    if pass.refused(call, error) { continue }
                    return await refused(key, call, error, outcome, isShown: pass.isShown, uid: uid)
                } catch {
                    return failed(key, call.purpose.rawValue, error)
                }
            case .patch(let patch):
                let details = Decision.details(patch) { words($0, certain ?? pass.certain) }
                guard !isDryRun else {
                    decided(Decision(action: "patch", outcome: .supposed, key: key, details: details))
                    return outcome
                }
                do {
                    let object = try await kube.patch(key.name, key.patched, patch)
                    note(key, object)
                    pass.saw(object, isPatched: true)
                    decided(Decision(action: "patch", outcome: .done, key: key, details: details))
                    if case .service = key { await reportAddresses(of: object, key, before: patch) }
                } catch  where [.conflict, .notFound, .invalid].contains(error.code) {
                    // Another one was first, or it is another object by now: as it is, then.
                    decided(Decision(action: "patch", outcome: .refused, key: key, details: "\(error)"))
                    if let failure = await look(key, for: &pass) { return failure }
                } catch {
                    return failed(key, "patch", error)
                }
            }
        }
        return failed(key, "look", StepsExceeded())
    }

    private struct StepsExceeded: Error, CustomStringConvertible {
        var description: String { "it changes all the time" }
    }

    /// Shows the pass the object as it is in the cluster; the turn's end where that can't be told.
    private func look(_ key: ObjectKey, for pass: inout some Pass) async -> TurnOutcome? {
        do {
            let object = try await look(key)
            note(key, object)
            pass.saw(object, isPatched: false)
            return nil
        } catch {
            return failed(key, "look", error)
        }
    }

    /// nil where the object is not there.
    func look(_ key: ObjectKey) async throws(KubeError) -> JSONValue? {
        do throws(KubeError) {
            return try await kube.get(key.name)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    var isDryRun: Bool { told != nil }

    private func words(_ given: [String], _ certain: [String]) -> String {
        prospect?.words(given, certain: certain) ?? given.joined(separator: ",")
    }

    // MARK: Logs and events

    private func finish(_ key: ObjectKey, _ finding: Finding, _ left: Duration?, _ outcome: inout TurnOutcome) {
        var decision = Decision(action: finding.word, outcome: .found, key: key)
        var level = Logger.Level.debug
        switch finding {
        case .settled, .nothing:
            if case .node(let name) = key { grown[name] = nil }
        case .postponed: outcome.isPostponed = true
        case .waits: outcome.queue = .again(after: max(.milliseconds(10), left ?? settings.gracePeriod))
        case .incomplete: outcome.queue = .again(after: settings.longestPause)
        case .ungiven:
            outcome.queue = .again(after: settings.longestPause)
            decision.details = Self.ungivenText
            level = .notice
        case .foreign(let why):
            decision.details = why
            level = .notice
        case .grown(let cidrs):
            decision.details =
                cidrs.joined(separator: ",")
                + ": the cluster lets no node's podCIDRs grow, it shows them once it is made again"
            if case .node(let name) = key, grown.updateValue(cidrs, forKey: name) != cidrs { level = .notice }
        }
        decided(decision, level)
    }

    func decided(_ decision: Decision, _ level: Logger.Level? = nil) {
        metrics.count(decision)
        if let told {
            if decision.outcome != .found || level == .notice { told(decision.sentence) }
            return
        }
        let level = level ?? (decision.outcome == .done ? .info : .warning)
        var metadata: Logger.Metadata = [
            "controller": "\(decision.key.part.rawValue)", "kind": "\(decision.key.kind)", "name": "\(decision.key)",
            "outcome": "\(decision.outcome.rawValue)",
        ]
        if !decision.details.isEmpty { metadata["details"] = "\(decision.details)" }
        logger.log(level: level, "\(decision.action)", metadata: metadata)
    }

    private func refused(
        _ key: ObjectKey, _ call: TandemCall, _ error: APIError, _ outcome: TurnOutcome, isShown: Bool, uid: String?
    ) async -> TurnOutcome {
        var outcome = outcome
        decided(
            Decision(action: call.purpose.rawValue, outcome: .refused, key: key, details: error.message))
        outcome.isFull = error.reason == "RangeFull"
        // Tandem itself has no answer: no other object is given anything before it has.
        let isAbsent = [.unavailable, .deadlineExceeded, .internal, .unauthenticated, .permissionDenied]
            .contains(error.status)
        outcome.queue = .failed(isHolding: isAbsent)
        if isShown, !isAbsent, !isDryRun { await report(error, of: key, uid: uid) }
        return outcome
    }

    private func failed(_ key: ObjectKey, _ action: String, _ error: any Error) -> TurnOutcome {
        if !Task.isCancelled {
            decided(Decision(action: action, outcome: .failed, key: key, details: "\(error)"))
        }
        return TurnOutcome(queue: .failed(isHolding: true))
    }
}

extension TandemCall {
    /// The same without that anything is kept.
    var supposed: JSONValue {
        var params = params
        params["dryRun"] = true
        return params
    }
}

extension Decision {
    /// `words` puts the given addresses into words.
    init(
        _ call: TandemCall, _ answer: JSONValue, of key: ObjectKey, isSupposed: Bool,
        words: ([String]) -> String = { $0.joined(separator: ",") }
    ) {
        let released = (answer["released"]?.arrayValue ?? []).compactMap {
            $0.stringValue ?? $0["ip"]?.stringValue ?? $0["cidr"]?.stringValue
        }
        let isReleasing = call.purpose == .release || call.purpose == .vacate
        let kept = (answer["kept"]?.arrayValue ?? []).compactMap(\.stringValue)
        self.init(
            action: call.purpose.rawValue, outcome: isSupposed ? .supposed : .done, key: key,
            details: (isReleasing ? released.joined(separator: ",") : words(Self.addresses(answer)))
                + (kept.isEmpty ? "" : " kept \(kept.joined(separator: ","))"))
    }

    /// The addresses in an answer: a node's CIDRs, a load balancer's addresses, a pod's.
    private static func addresses(_ answer: JSONValue) -> [String] {
        let service = answer["service"]?["status"]?["loadBalancer"]?["ingress"]?.arrayValue
        let pod = answer["pod"]?["status"]?["podIPs"]?.arrayValue
        if let ips = service ?? pod { return ips.compactMap { $0["ip"]?.stringValue } }
        return (answer["node"]?["spec"]?["podCIDRs"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    static func details(_ patch: JSONValue, words: ([String]) -> String) -> String {
        if let cidrs = patch["spec"]?["podCIDRs"]?.arrayValue { return words(cidrs.compactMap(\.stringValue)) }
        let ingress = patch["status"]?["loadBalancer"]?["ingress"]
        let ips = (ingress?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
        return ips.isEmpty ? "finalizer off" : words(ips)
    }

    /// For a dry run.
    var sentence: String {
        let object = "\(key.kind.lowercased())/\(key)"
        let details = details.isEmpty ? "" : ": \(details)"
        return switch outcome {
        case .supposed: "would \(action) \(object)\(details)"
        case .refused: "would be refused to \(action) \(object)\(details)"
        case .failed: "can't \(action) \(object)\(details)"
        case .done, .found: "\(action) \(object)\(details)"
        }
    }
}
