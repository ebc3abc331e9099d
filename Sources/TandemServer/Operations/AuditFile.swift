import LineLogs
import Logging
import Measures
import Synchronization
import TandemAPI

/// The file of the audit log: lines go in, or are counted as lost. A word in the log says so when it can't be written, moved aside or
/// opened again, at most every ten seconds. `append` blocks, from one thread; everything else is thread-safe.
final class AuditFile: Sendable {
    /// Entries that are not in the file, and steps that failed.
    struct Losses: Equatable, Sendable {
        /// As too many waited.
        var dropped: UInt64 = 0
        /// As they could not be written.
        var unwritten: UInt64 = 0
        /// Attempts to write, to rotate or to open it that failed.
        var errors: UInt64 = 0

        var entries: UInt64 { dropped + unwritten }
    }

    private struct State: ~Copyable {
        var file: RotatingFile
        /// Lost entries that the file tells of.
        var told: UInt64 = 0
        var nextWord: UInt64 = 0
    }

    // One thread alone takes it.
    private let state: Mutex<State>
    private let counts = Mutex(Losses())
    private let logger: Logger
    private let now: @Sendable () -> Moment

    init(_ file: consuming RotatingFile, _ logger: Logger, now: @escaping @Sendable () -> Moment = { .now() }) {
        state = Mutex(State(file: file))
        self.logger = logger
        self.now = now
    }

    var losses: Losses { counts.withLock { $0 } }

    /// An entry that never comes here.
    func noteDropped() { counts.withLock { $0.dropped += 1 } }

    /// Lines with their breaks.
    func append(_ lines: some Sequence<[UInt8]>) {
        state.withLock { state in
            attempt(&state) { file throws(RotatingFile.SystemError) in try file.follow(now()) }
            for line in lines where !write(line, &state) { counts.withLock { $0.unwritten += 1 } }
        }
    }

    private func write(_ line: [UInt8], _ state: inout State) -> Bool {
        let lost = losses.entries
        if lost > state.told {
            let note = Self.note(of: lost - state.told)
            guard put(note, &state) else { return false }
            logger.warning("entries are missing in the audit log", metadata: ["entries": "\(lost - state.told)"])
            state.told = lost
        }
        return put(line, &state)
    }

    private func put(_ line: [UInt8], _ state: inout State) -> Bool {
        attempt(&state) { file throws(RotatingFile.SystemError) in try file.makeRoom(for: line.count, now()) }
        return attempt(&state) { file throws(RotatingFile.SystemError) in try file.append(line) }
    }

    /// Whether it went well.
    @discardableResult
    private func attempt(
        _ state: inout State, _ step: (inout RotatingFile) throws(RotatingFile.SystemError) -> Void
    ) -> Bool {
        do throws(RotatingFile.SystemError) {
            try step(&state.file)
            return true
        } catch {
            counts.withLock { $0.errors += 1 }
            let now = now().nanoseconds
            if now >= state.nextWord {
                state.nextWord = now + RotatingFile.pause
                logger.error(
                    "the audit log can't be written, moved aside or opened again",
                    metadata: ["error": "\(error.message)"])
            }
            return false
        }
    }

    /// The line that stands for entries that are not there.
    private static func note(of missing: UInt64) -> [UInt8] {
        Array("{\"time\":\"\(Timestamp.now())\",\"missing\":\(missing)}\n".utf8)
    }
}
