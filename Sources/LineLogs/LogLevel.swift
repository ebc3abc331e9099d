public import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The level below which nothing is logged: one for the process, and it may change while it runs. Thread-safe.
public final class LogLevel: Sendable {
    // Relaxed: whether a line just before a change is logged does not matter.
    private let index: Atomic<Int>

    /// The process's.
    static let process = LogLevel(.info)

    package init(_ level: Logger.Level) {
        index = Atomic(Self.index(level))
    }

    public var current: Logger.Level {
        get { Logger.Level.allCases[index.load(ordering: .relaxed)] }
        set { index.store(Self.index(newValue), ordering: .relaxed) }
    }

    private static func index(_ level: Logger.Level) -> Int { Logger.Level.allCases.firstIndex(of: level) ?? 0 }

    /// One step towards trace (-1) or critical (1), as far as there is one.
    package func step(_ direction: Int) {
        let last = Logger.Level.allCases.count - 1
        index.store(min(last, max(0, index.load(ordering: .relaxed) + direction)), ordering: .relaxed)
    }
}

/// SIGUSR1 says more, SIGUSR2 less, a level each time.
package struct LogLevelSignals: Service {
    private let level: LogLevel
    private let logger: Logger
    private let signals: UnixSignalsSequence

    /// Traps them at once, before the server can say that it is ready: a signal's own effect is to end the process.
    /// The process's.
    static let process = LogLevel(.info)

    package init(_ level: LogLevel, _ logger: Logger) async {
        self.level = level
        self.logger = logger
        signals = await UnixSignalsSequence(trapping: .sigusr1, .sigusr2)
    }

    package func run() async throws {
        for await signal in signals.cancelOnGracefulShutdown() {
            level.step(signal == .sigusr1 ? -1 : 1)
            // Logged at any level: the sender of the signal must see its effect.
            logger.log(level: max(.notice, level.current), "log level", metadata: ["to": "\(level.current)"])
        }
    }
}
