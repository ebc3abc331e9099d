import Dispatch
import Measures
import Synchronization

/// The work of the journal's thread, turn by turn.
extension Journal {
    /// Events that are taken in one turn: a group of one's own goes between two such runs of other servers' entries.
    static let maximumEvents = 64

    enum Progress {
        case hasWork
        case isIdle
        case ended
    }

    func run() {
        var progress = Progress.isIdle
        while progress != .ended { progress = turn(sleeps: progress == .isIdle) }
        ended.signal()
    }

    func turn(sleeps: Bool) -> Progress {
        let isRoused = sleeps && sleep()
        if work() { return maintain(isIdle: false) ? .hasWork : .isIdle }
        let (isDone, isStopping) = state.withLock { ($0.queue.isEmpty && $0.flight == nil, $0.isStopping) }
        guard isDone else { return .isIdle }
        if isStopping {
            end()
            return .ended
        }
        if isRoused { return .isIdle }
        if state.withLock({ $0.impairment != nil }) { probe() }
        return maintain(isIdle: true) ? .hasWork : .isIdle
    }

    /// Until a caller, or the log, has something to be done, but no longer than the idle time or until a fence's time is over.
    /// Returns whether there was something.
    private func sleep() -> Bool {
        let now = now()
        let nanoseconds: UInt64? = state.withLock { state in
            let canGoOn = state.flight == nil && (!state.queue.isEmpty || state.isStopping)
            if canGoOn || state.hasNews || state.fences.wantsAsking { return nil }
            state.isAsleep = true
            let idle = UInt64(idleMilliseconds) * 1_000_000
            return state.fences.deadline.map { min(idle, $0.since(now)) } ?? idle
        }
        guard let nanoseconds else { return true }
        if wake.wait(timeout: .now() + .nanoseconds(Int(nanoseconds))) == .success { return true }
        // Another thread may rouse the journal just now: then the signal is there and must be taken.
        let wasRoused = state.withLock { state in
            defer { state.isAsleep = false }
            return !state.isAsleep
        }
        if wasRoused { wake.wait() }
        return wasRoused
    }

    /// Whether anything was done.
    private func work() -> Bool {
        var hasWorked = takeEvents()
        if let group = takeGroup() {
            append(group)
            // A log of one server has the outcome at once.
            _ = takeEvents()
            hasWorked = true
        }
        let hasDropped = dropLate()
        return serveFences() || hasWorked || hasDropped
    }

    // MARK: Own groups

    /// The next group to append, where none is in flight.
    private func takeGroup() -> [JournalQueue.Entry]? {
        let now = now()
        return state.withLock { state in
            guard state.flight == nil, !state.queue.isEmpty else { return nil }
            // Refusals end as soon as the rest of the queue allows it.
            defer {
                if congested.load(ordering: .relaxed), !state.queue.isCongested(now) {
                    congested.store(false, ordering: .relaxed)
                }
            }
            return state.queue.takeGroup(log.groupLimits, now)
        }
    }

    private typealias Settled = (entries: [JournalQueue.Entry], outcome: Result<Void, LedgerError>)

    private func append(_ group: [JournalQueue.Entry]) {
        for settled in begin(group) { settle(settled.entries, settled.outcome) }
    }

    /// Hands the group's proposals to the log. Returns the entries that are settled without it, with their outcomes.
    private func begin(_ group: [JournalQueue.Entry]) -> [Settled] {
        var (entries, abandoned, others) = (group, [JournalQueue.Entry](), [Settled]())
        // The last look at whether a caller waits: from here on a proposal is appended.
        entries.removeAll { entry in
            guard entry.asker?.hasLeft ?? false else { return false }
            abandoned.append(entry)
            return true
        }
        if !abandoned.isEmpty { others.append((abandoned, .failure(LedgerError.abandonment))) }
        let proposals = entries.compactMap(\.proposal)
        if let fault {
            others.append((entries, .failure(fault.with(.notCommitted))))
        } else if proposals.isEmpty {
            others.append((entries, .success(())))
        } else {
            state.withLock { $0.flight = Flight(entries: entries, start: now()) }
            log.append(proposals)
        }
        return others
    }

    /// Shows whether storage that failed works again.
    private func probe() {
        guard fault == nil else { return }
        state.withLock { $0.flight = Flight(entries: [], start: now()) }
        log.append([])
        _ = takeEvents()
    }

    /// Tells each caller of a group, in their order, and the log which of them is refused.
    private func settle(_ entries: [JournalQueue.Entry], _ outcome: Result<Void, LedgerError>) {
        var index = 0
        for entry in entries {
            switch entry.work {
            case .barrier(let body): body()
            case .proposal(_, let settle):
                let isKept = settle(outcome)
                if case .success = outcome, !isKept { log.noteRefused(index) }
                index += 1
            }
        }
        groupEnded()
    }

    /// Where several servers share the log, and it has no answer about the group in flight for as long as a fence may take, those that have
    /// waited behind it for so long are told: another server may serve them. Returns whether there were any.
    private func dropLate() -> Bool {
        guard log.isShared else { return false }
        let limit = UInt64(JournalLimits.fenceMilliseconds) * 1_000_000
        let now = now()
        let late = state.withLock { state in
            guard let flight = state.flight, now.since(flight.start) > limit, now.nanoseconds > limit else {
                return [JournalQueue.Entry]()
            }
            return state.queue.takeProposals(until: Moment(nanoseconds: now.nanoseconds - limit))
        }
        guard !late.isEmpty else { return false }
        settle(
            late,
            .failure(LedgerError(.timedOut, "storage did not answer within \(JournalLimits.fenceMilliseconds) ms")))
        return true
    }

    // MARK: Events of the log

    /// Whether anything came.
    private func takeEvents() -> Bool {
        state.withLock { $0.hasNews = false }
        for number in 0..<Self.maximumEvents {
            guard !hasFailed, let event = log.next() else { return number > 0 }
            take(event)
        }
        state.withLock { $0.hasNews = true }
        return true
    }

    private func take(_ event: LogEvent) {
        switch event {
        case .landed:
            answered.store(now().nanoseconds, ordering: .relaxed)
            let flight = takeFlight()
            let count = flight.entries.count(where: \.isProposal)
            state.withLock { state in
                state.impairment = nil
                guard count > 0 else { return }
                state.groups += 1
                state.proposals += UInt64(count)
            }
            if count > 0 { groupSizes.observe(UInt64(count)) }
            // A log of several servers answers later: the next group is on its way while this one is applied.
            let others = log.isShared ? takeGroup().map(begin) ?? [] : []
            settle(flight.entries, .success(()))
            for settled in others { settle(settled.entries, settled.outcome) }
        case .failed(let error):
            let flight = takeFlight()
            if !error.isOfGroup { state.withLock { $0.impairment = error } }
            if error.outcome == .unknown || error.code == .moved { fail(error) }
            settle(flight.entries, .failure(error))
        case .foreign(let proposals):
            for (index, isKept) in foreign(proposals).enumerated() where !isKept { log.noteRefused(index) }
            groupEnded()
        case .fenced:
            answered.store(now().nanoseconds, ordering: .relaxed)
            for body in state.withLock({ $0.fences.pass() }) { body(.success(())) }
            groupEnded()
        case .tidied: break
        case .ended(let error): fail(error)
        }
    }

    private func takeFlight() -> Flight {
        guard let flight = state.withLock({ $0.flight.take() }) else {
            preconditionFailure("the log gave an outcome without a group")
        }
        if !flight.entries.isEmpty { groupTimes.observe(now().since(flight.start)) }
        return flight
    }

    /// Asks the log where a caller waits for it, and ends the wait of those whose time is over. Returns whether it did either.
    private func serveFences() -> Bool {
        let now = now()
        let (late, asks) = state.withLock { state in
            let late = state.fences.expire(now)
            defer { if state.fences.wantsAsking { state.fences.ask() } }
            return (late, state.fences.wantsAsking)
        }
        if asks { log.fence() }
        endFences(
            late,
            LedgerError(.timedOut, "storage did not answer a fence within \(JournalLimits.fenceMilliseconds) ms"))
        return asks || !late.isEmpty
    }

    private func endFences(_ bodies: [JournalFences.Body], _ error: LedgerError) {
        guard !bodies.isEmpty else { return }
        for body in bodies { body(.failure(error)) }
        groupEnded()
    }

    // MARK: Housekeeping and the end

    private func maintain(isIdle: Bool) -> Bool {
        guard fault == nil else { return false }
        do throws(LedgerError) {
            return try log.maintain(isIdle: isIdle)
        } catch {
            // A checkpoint that can't be made costs time at the next start and room on the disk, not an address: the
            // log's entries are safe. The next append shows whether storage works. But on damaged pages nothing is built, nor
            // on files that are somewhere else.
            if error.code == .corrupt || error.code == .moved { fail(error) }
            return false
        }
    }

    /// From here on nothing is appended and nothing is taken from the log.
    private func fail(_ fault: LedgerError) {
        failed.store(true, ordering: .releasing)
        let (observers, flight, fences) = state.withLock { state in
            state.fault = fault
            state.queue.close(fault.with(.notCommitted), isFault: true)
            defer { state.observers = [] }
            return (state.observers, state.flight.take(), state.fences.end())
        }
        for observer in observers { observer(fault) }
        if let flight {
            settle(flight.entries, .failure(fault.with(.unknown)))
        }
        endFences(fences, fault.with(.notCommitted))
    }

    private func end() {
        let (deadline, fences) = state.withLock { ($0.tidiesUntil, $0.fences.end()) }
        endFences(fences, LedgerError(.stopped, "the server is shutting down"))
        log.stopTidying()
        while deadline.map({ .now < $0 }) ?? true, maintain(isIdle: true) {}
        log.close()
    }

    /// Where a group's outcome does not come, it is unknown, and nothing is appended behind it or taken from the log any more.
    func stopByHand() {
        while true {
            let progress = turn(sleeps: false)
            if progress == .ended { return }
            // It may have come and not been taken yet.
            guard progress == .isIdle, let flight = state.withLock({ $0.hasNews ? nil : $0.flight.take() }) else {
                continue
            }
            let reason = "the server ended before the outcome was known"
            settle(flight.entries, .failure(LedgerError(.stopped, reason, outcome: .unknown)))
            while let group = takeGroup() { settle(group, .failure(LedgerError(.stopped, reason))) }
            return end()
        }
    }
}
