import Ledger
import Synchronization
public import TandemAPI

/// Takes the answer of a call, exactly once.
public typealias Answer = @Sendable (Result<CallResult, APIError>) -> Void

/// The client that waits for a call, and its terms.
struct Caller: Sendable {
    /// The same for the whole call, and handed on by one reference.
    private final class Terms: Sendable {
        let isDryRun: Bool
        let onlyNode: String?
        let flow: Flow
        let executor: (any Executor)?
        let asker: (any Asker)?
        let journal: Journal
        // Relaxed: set before the call is handed to the thread that reads it.
        let isFenced: Atomic<Bool>

        init(
            _ isDryRun: Bool, _ onlyNode: String?, _ flow: Flow, _ executor: (any Executor)?, _ asker: (any Asker)?,
            _ journal: Journal, isFenced: Bool
        ) {
            (self.isDryRun, self.onlyNode, self.executor, self.asker) = (isDryRun, onlyNode, executor, asker)
            (self.flow, self.journal) = (flow, journal)
            self.isFenced = Atomic(isFenced)
        }
    }

    private let terms: Terms
    private var told: Answer

    init(
        isDryRun: Bool, onlyNode: String?, flow: Flow, executor: (any Executor)?, asker: (any Asker)?, journal: Journal,
        isFenced: Bool, _ told: @escaping Answer
    ) {
        terms = Terms(isDryRun, onlyNode, flow, executor, asker, journal, isFenced: isFenced)
        self.told = told
    }

    /// Everything is decided and checked, nothing is kept.
    var isDryRun: Bool { terms.isDryRun }
    /// The one node that the caller may touch; nil for all.
    var onlyNode: String? { terms.onlyNode }
    /// The flow whose changes are before its own in the journal's queue.
    var flow: Flow { terms.flow }
    /// Where the call goes on when it had to wait; nil for the thread that it waited for.
    var executor: (any Executor)? { terms.executor }
    /// The client by whose leaving the call is abandoned; nil for a call without a waiting client from the start.
    var asker: (any Asker)? { terms.asker }

    /// Everything that the log held when the call came is applied, or the log has had its say about a proposal of the call: an answer may rest
    /// on what memory shows. True from the start where no other server appends.
    var isFenced: Bool { terms.isFenced.load(ordering: .relaxed) }

    func noteFence() { terms.isFenced.store(true, ordering: .relaxed) }

    /// Fails, unless the call was decided before a fence: then it is decided once more, from the beginning.
    func decideAgain(or error: APIError) {
        terms.isFenced.store(false, ordering: .relaxed)
        fail(error)
    }

    /// The same caller, for a call that decides before it knows that memory shows everything: an answer without a word of the log is not
    /// given, and `body` runs in its place.
    func unlessFenced(_ body: @escaping @Sendable () -> Void) -> Caller {
        var caller = self
        let (told, terms) = (told, terms)
        caller.told = { result in
            if terms.isFenced.load(ordering: .relaxed) { told(result) } else { body() }
        }
        return caller
    }

    /// To be called exactly once. Once storage has failed for good, it is unknown whether the change before is stored; memory, which
    /// answers a retry or a look, may show changes that are not. So no answer is given any more.
    func answer(_ result: Result<CallResult, APIError>) {
        guard terms.journal.hasFailed else { return told(result) }
        if case .failure(let error) = result, error.status == .unavailable { return told(result) }
        told(
            .failure(
                .unavailable(
                    "storage failed, and the outcome is not known before a restart has read it",
                    reason: "StorageUnavailable")))
    }

    /// The same caller, whose answer also gives a turn back.
    func holding(_ turn: Turn) -> Caller {
        // Not by `finishing`: the turn lies in the answer's own context, which is an allocation less.
        var caller = self
        let told = told
        caller.told = { result in
            told(result)
            turn.giveBack()
        }
        return caller
    }

    /// The same caller; `body` runs behind the answer.
    func finishing(_ body: @escaping @Sendable () -> Void) -> Caller {
        var caller = self
        let told = told
        caller.told = { result in
            told(result)
            body()
        }
        return caller
    }

    /// Runs `body` where the client's work is done.
    func execute(_ body: @escaping @Sendable () -> Void) {
        if let executor { executor.execute(body) } else { body() }
    }

    func succeed(_ result: CallResult) { answer(.success(result)) }

    func fail(_ error: APIError) { answer(.failure(error)) }
}
