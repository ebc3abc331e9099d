/// Runs once: at the proposal's place in the log, where it says whether the proposal is kept; or with an error, where what it
/// says is ignored.
public typealias Settlement = @Sendable (Result<Void, LedgerError>) -> Bool
