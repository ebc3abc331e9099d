public import Foundation
import Synchronization

/// Programs that tests started and that run for longer than one call: those that are left at the end of the tests are killed. The end of a process
/// waits for no thread that has the last reference to one, and a program that lives on keeps open the output that `swift test` reads to its end.
///
/// Thread-safe.
public enum Children {
    private static let running = Mutex<Set<pid_t>>([])

    private static let killsAtExit: Void = {
        atexit { Children.running.withLock { for child in $0 { kill(child, SIGKILL) } } }
    }()

    /// Starts the program. It is forgotten once it has ended.
    public static func start(_ process: Process) throws {
        _ = killsAtExit
        process.terminationHandler = { process in
            Children.running.withLock { _ = $0.remove(process.processIdentifier) }
        }
        try process.run()
        running.withLock { children in
            // It may have ended already: then nothing takes it out again.
            if process.isRunning { children.insert(process.processIdentifier) }
        }
    }
}
