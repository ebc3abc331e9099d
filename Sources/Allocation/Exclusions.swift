internal import Synchronization

/// The indices of a space that others hold, as one list that is replaced whole: read by any thread without a lock.
///
/// A list is kept for as long as a reader may be in it. Proof: all acts below are in one order; a reader counts itself before
/// it loads the list, and is counted until it is done with it. A setter that sees no reader after it has stored its list
/// therefore knows that every reader to come loads that list or a later one, and none is left in an older one.
struct Exclusions: ~Copyable, Sendable {
    private final class List: Sendable {
        let indices: ExcludedIndices
        init(_ indices: ExcludedIndices) { self.indices = indices }
    }

    /// nil where nothing is excluded. Not retained: `lists` owns it.
    private let current = Atomic<Unmanaged<List>?>(nil)
    private let readers = Atomic(0)

    /// The current list at the end, and before it those that were replaced while they were read. Setters alone lock it.
    private let lists = Mutex<[List]>([])

    /// Relaxed: a look. It sees at least the values set before the caller's call began, as every load of one atomic does.
    @inline(__always)
    var isEmpty: Bool { current.load(ordering: .relaxed) == nil }

    /// Calls `body` with the list; nil where nothing is excluded. Never blocks.
    func read<Result>(_ body: (ExcludedIndices) -> Result) -> Result? {
        // Sequentially consistent, all three: the order that the proof takes for granted. The last one also puts the reads
        // before the setter's freeing.
        readers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { readers.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
        return current.load(ordering: .sequentiallyConsistent)?._withUnsafeGuaranteedRef { body($0.indices) }
    }

    /// Replaces the list: every ``read(_:)`` that begins after the return gets this one, or a later one.
    func set(_ indices: ExcludedIndices) {
        let list = List(indices)
        lists.withLock { lists in
            lists.append(list)
            // Sequentially consistent, both: see the proof.
            current.store(indices.isEmpty ? nil : .passUnretained(list), ordering: .sequentiallyConsistent)
            if readers.load(ordering: .sequentiallyConsistent) == 0 { lists.removeFirst(lists.count - 1) }
        }
    }
}
