import Ledger
public import TandemAPI

/// The data of watches: the changes by their versions, and the existing objects.
extension Engine {
    /// The newest version that a watch may be at. Any thread; O(1).
    public var newestChange: UInt64 { books.history.newest }

    /// The bytes and the number of the kept changes. Any thread; O(1).
    public var changeHistory: (bytes: Int, events: Int, maximumBytes: Int) {
        let size = books.history.size
        return (size.bytes, size.events, books.history.maximumBytes)
    }

    /// Runs `wake` on the log's thread when a group has brought changes, for as long as the engine is there. It must be short.
    public func onChanges(_ wake: @escaping @Sendable () -> Void) { books.history.listen(wake) }

    /// Changes behind a version, up to `end`, that the query wants; nil for all. Of a bounded number that are looked at: `through` says up to
    /// where. nil where some of them are no longer kept. Any thread; O(1) in the number of objects.
    public func changes(
        after version: UInt64, through end: UInt64, upTo limit: Int = .max, for query: WatchQuery?
    ) -> (events: [WatchEvent], through: UInt64)? {
        books.history.events(after: version, through: end, upTo: limit) { query?.wants($0) ?? true }
    }

    /// Where a watch begins.
    public enum WatchStart: Sendable {
        /// Behind a version whose changes are all there.
        case resumed(UInt64)
        case listing(WatchListing)

        /// The objects sent so far are the state at this version, once a listing is at its end.
        public var version: UInt64 {
            switch self {
            case .resumed(let version): version
            case .listing(let listing): listing.version
            }
        }
    }

    /// Finds where a watch begins: OUT_OF_RANGE, reason `Expired`, where its changes are no longer kept, or its version is still to come. Answers on
    /// the executor where the log had to be asked, else before it returns.
    public func beginWatch(
        _ query: WatchQuery, on executor: (any Executor)?,
        _ answer: @escaping @Sendable (Result<WatchStart, APIError>) -> Void
    ) {
        let history = books.history
        @Sendable func start() -> Result<WatchStart, APIError> {
            let newest = history.newest
            guard let version = query.version else { return .success(.listing(WatchListing(query, version: newest))) }
            guard history.reaches(back: version) else {
                return .failure(version > newest ? .notYet(version, newest) : .expired(version))
            }
            return .success(.resumed(version))
        }
        // The objects, and a version that only another server may have seen, are to be as of all changes acknowledged by now.
        let isAhead = query.version.map { $0 > history.newest }
        guard isAhead ?? isShared else { return answer(start()) }
        if !isShared {
            // A reader of an object that is being put in may be ahead of the events, until that is done.
            return journal.flush {
                guard let executor else { return answer(start()) }
                executor.execute { answer(start()) }
            }
        }
        let refusal = journal.fence { result in
            let begun = result.mapError { APIError($0) }.flatMap { start() }
            self.verdicts.post(on: executor) { answer(begun) }
        }
        if let refusal { answer(.failure(APIError(refusal))) }
    }
}

extension APIError {
    /// The changes behind a version are no longer kept.
    public static func expired(_ version: UInt64) -> APIError {
        APIError(
            .outOfRange, reason: "Expired",
            "changes behind resourceVersion \(version) are no longer kept: list again, and watch from that list's version"
        )
    }

    fileprivate static func notYet(_ version: UInt64, _ newest: UInt64) -> APIError {
        APIError(
            .outOfRange, reason: "Expired",
            "resourceVersion \(version) is not there: the newest is \(newest); list again, and watch from that list's version"
        )
    }
}
