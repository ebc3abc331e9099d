/// Runs once: at the proposal's place in the log, where it says whether the proposal is kept; or with an error, where its
/// result is ignored.
public typealias Settlement = @Sendable (Result<Void, LedgerError>) -> Bool
