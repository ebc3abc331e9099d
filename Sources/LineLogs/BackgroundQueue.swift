import Foundation

/// Items that a thread of their own takes in the order in which they came: for work that may wait for a disk or a reader,
/// which an event loop may not.
///
/// Thread-safe; `submit` never blocks. Items past a limit, in count or in bytes, are dropped and counted.
// Proof of Sendable: everything that changes is read and written under the condition's lock alone.
package final class BackgroundQueue<Item: Sendable>: @unchecked Sendable {
    private let limit: Int
    private let maximumBytes: Int
    private let bytes: @Sendable (Item) -> Int
    private let body: @Sendable ([Item]) -> Void
    private let condition = NSCondition()
    private var waiting: [Item] = []
    /// Of the items that wait and of those that the body has.
    private var heldBytes = 0
    private var isBusy = false
    private var droppedCount: UInt64 = 0

    /// `limit` counts the items that wait; `maximumBytes` holds for them and those that `body` has, by the size that `bytes` gives for
    /// each: the memory that it keeps, O(1). `body` gets the waiting items, on the queue's thread, which ends with the process.
    package init(
        _ name: String, limit: Int, maximumBytes: Int, bytes: @escaping @Sendable (Item) -> Int,
        _ body: @escaping @Sendable ([Item]) -> Void
    ) {
        self.limit = limit
        self.maximumBytes = maximumBytes
        self.bytes = bytes
        self.body = body
        let thread = Thread { self.run() }
        thread.name = name
        thread.start()
    }

    /// False, and nothing is done, where too many wait already. One alone is taken however large it is.
    @discardableResult
    package func submit(_ item: Item) -> Bool {
        let size = bytes(item)
        return condition.withLock {
            guard waiting.count < limit, heldBytes == 0 || heldBytes + size <= maximumBytes else {
                droppedCount += 1
                return false
            }
            waiting.append(item)
            heldBytes += size
            if waiting.count == 1 { condition.broadcast() }
            return true
        }
    }

    /// Items dropped since the start.
    package var dropped: UInt64 { condition.withLock { droppedCount } }

    /// Returns when everything submitted before is done, or after two seconds: a reader that never reads keeps no process
    /// from ending. Blocks.
    package func flush() {
        let deadline = Date(timeIntervalSinceNow: 2)
        condition.withLock {
            while isBusy || !waiting.isEmpty, condition.wait(until: deadline) {}
        }
    }

    private func run() {
        while true {
            let (items, size) = condition.withLock {
                isBusy = false
                condition.broadcast()
                while waiting.isEmpty { condition.wait() }
                isBusy = true
                defer { waiting = [] }
                return (waiting, heldBytes)
            }
            body(items)
            condition.withLock { heldBytes -= size }
        }
    }
}
