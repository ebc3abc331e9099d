import Dispatch
import Foundation
import Synchronization

/// Threads, as many as there are cores, that work for one thread, a few pieces ahead at most.
final class Workers: Sendable {
    private let queue = DispatchQueue(label: "tandem-recovery", qos: .userInitiated, attributes: .concurrent)
    private let group = DispatchGroup()
    private let room: DispatchSemaphore
    private let fault = Mutex<(any Error)?>(nil)

    private init() {
        room = DispatchSemaphore(value: ProcessInfo.processInfo.activeProcessorCount + 1)
    }

    /// Runs `body`, waits for all that it handed over, and throws the first fault of any. Blocks.
    static func run(_ body: (Workers) throws -> Void) throws {
        let workers = Workers()
        let result = Result { try body(workers) }
        workers.group.wait()
        if let fault = workers.fault.withLock({ $0 }) { throw fault }
        try result.get()
    }

    /// Does `work` on another thread; waits while too much is in flight. Throws once any work has thrown.
    func hand<Piece: Sendable>(_ piece: Piece, _ work: @escaping @Sendable (Piece) throws -> Void) throws {
        room.wait()
        queue.async(group: group) {
            defer { self.room.signal() }
            guard self.fault.withLock({ $0 == nil }) else { return }
            do { try work(piece) } catch { self.fault.withLock { $0 = $0 ?? error } }
        }
        if let fault = fault.withLock({ $0 }) { throw fault }
    }
}
