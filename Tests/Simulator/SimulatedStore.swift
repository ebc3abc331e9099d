import Ledger
import Synchronization

/// The store of one simulated process: keeps what it is told to, fails as it is told to, and lets the simulation look at
/// every transaction. What is kept outlives the process in `disk`.
final class SimulatedStore: LedgerStore {
    /// What befalls a group.
    enum Fate: Sendable {
        case kept
        case refused
        case notCommitted
        /// Nobody can tell before `resolve`.
        case unknown(isKept: Bool)
        /// Not even `resolve` can tell.
        case unresolvable(isKept: Bool)
    }

    private let disk: FaultyLedger
    private let simulation: Simulation
    private let answer = Mutex<Bool?>(nil)

    init(disk: FaultyLedger, simulation: Simulation) {
        self.disk = disk
        self.simulation = simulation
    }

    func recover(_ body: @Sendable (RecoveredObject) throws -> Void) throws -> UInt64 {
        try disk.recover(body)
    }

    func commit(_ transactions: [LedgerTransaction]) throws(LedgerError) -> [CommitVerdict] {
        switch simulation.fate(of: transactions) {
        case .kept: return try keep(transactions)
        case .refused: return transactions.map { _ in .refused(taken: []) }
        case .notCommitted: throw LedgerError(.full, "the simulated disk is full")
        case .unknown(let isKept):
            if isKept { _ = try keep(transactions) }
            answer.withLock { $0 = isKept }
        case .unresolvable(let isKept):
            if isKept { _ = try keep(transactions) }
            answer.withLock { $0 = nil }
        }
        throw LedgerError(.inputOutput, "the simulated disk did not answer", outcome: .unknown)
    }

    private func keep(_ transactions: [LedgerTransaction]) throws(LedgerError) -> [CommitVerdict] {
        for transaction in transactions { simulation.stores(transaction) }
        return try disk.commit(transactions)
    }

    func resolve() throws(LedgerError) -> Bool {
        guard let isKept = answer.withLock({ $0 }) else {
            throw LedgerError(.inputOutput, "the simulated disk is gone", outcome: .unknown)
        }
        return isKept
    }

    func maintain(isIdle: Bool) throws(LedgerError) -> Bool { false }

    func close() {}
}
