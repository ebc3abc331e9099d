import IPAM

/// Where the clients' work of one server is done: later, when the simulation says so, in the order in which it came.
///
/// Proof of `@unchecked Sendable`: the simulation runs in one thread.
final class HandExecutor: Executor, @unchecked Sendable {
    private var bodies: [@Sendable () -> Void] = []

    var isEmpty: Bool { bodies.isEmpty }

    func execute(_ body: @escaping @Sendable () -> Void) { bodies.append(body) }

    func execute(_ bodies: [@Sendable () -> Void]) { self.bodies += bodies }

    /// Runs as many as `limit`; jobs that come meanwhile wait. Returns how many ran.
    @discardableResult
    func run(_ limit: Int) -> Int {
        let due = bodies.prefix(limit)
        bodies.removeFirst(due.count)
        for body in due { body() }
        return due.count
    }
}
