import Dispatch
import Foundation
import Glibc
import Synchronization

/// A thread that does due work, one piece after the other, whenever it is roused.
final class Background: Sendable {
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    // Releasing and acquiring: the roused thread sees all earlier work.
    private let isRoused = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)

    /// `work` does one piece and returns whether there is more. `niceness` is above that of other threads.
    init(_ name: String, niceness: Int32 = 0, _ work: @escaping @Sendable () -> Bool) {
        let thread = Thread { [wake, ended] in
            if let file = fopen("/proc/thread-self/comm", "we") {
                fputs(name, file)
                fclose(file)
            }
            // Of this thread alone, as Linux has it.
            if niceness > 0 { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }
            while true {
                wake.wait()
                self.isRoused.store(false, ordering: .releasing)
                while !self.isStopping.load(ordering: .acquiring), work() {}
                if self.isStopping.load(ordering: .acquiring) { break }
            }
            ended.signal()
        }
        thread.start()
    }

    /// Something may be due. Any thread; never waits.
    func rouse() {
        if !isRoused.exchange(true, ordering: .acquiringAndReleasing) { wake.signal() }
    }

    /// Lets the piece end that is under way, and then the thread. Blocks; call it once.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake.signal()
        ended.wait()
    }
}
