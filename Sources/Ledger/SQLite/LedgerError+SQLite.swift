import GRDB

extension LedgerError {
    /// The same, with SQLite's errors told in this program's words.
    static func converting<Value>(
        _ path: String, _ outcome: LedgerError.Outcome, _ body: () throws -> Value
    ) throws(LedgerError) -> Value {
        do {
            return try body()
        } catch {
            throw converted(error, path, outcome)
        }
    }

    /// SQLite's error in this program's words.
    static func converted(_ error: any Error, _ path: String, _ outcome: LedgerError.Outcome) -> LedgerError {
        if let error = error as? LedgerError { return error }
        guard let error = error as? DatabaseError else {
            return LedgerError(.inputOutput, "\(path): \(error)", outcome: outcome, cause: error)
        }
        let said = error.message ?? "\(error.resultCode)"
        switch error.resultCode {
        case .SQLITE_FULL:
            return LedgerError(.full, "\(path): the disk is full; make room on it", outcome: outcome, cause: error)
        case .SQLITE_NOTADB:
            return LedgerError(
                .notOurs, "\(path) is not a database; give another directory, or restore a backup", outcome: outcome,
                cause: error)
        case .SQLITE_CORRUPT:
            return LedgerError(
                .corrupt,
                "\(path) is damaged\(Damage.place(in: path)) (\(said)); nothing was changed: \(Damage.cure)",
                outcome: outcome, cause: error)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return LedgerError(
                .locked, "\(path) is locked by another program; let go of it there", outcome: outcome, cause: error)
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM:
            return LedgerError(.unwritable, "\(path) can't be written: \(said)", outcome: outcome, cause: error)
        default:
            return LedgerError(.inputOutput, "\(path): \(said)", outcome: outcome, cause: error)
        }
    }
}
