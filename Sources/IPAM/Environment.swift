import Glibc
public import Measures
import Synchronization
import TandemAPI

/// The engine's inputs beside its calls, so that a test can decide them: randomness and the time of day.
public struct Environment: Sendable {
    /// 64 random bits; thread-safe.
    public var random: @Sendable () -> UInt64
    /// Seconds since 1970 in UTC. Only shown (`creationTimestamp`), never decided by: the clock may jump.
    public var now: @Sendable () -> Int

    /// Seconds on a clock that only ever goes forward, from any start.
    public var uptime: @Sendable () -> Int
    /// By which the journal tells how long a call waits for the log.
    public var moment: @Sendable () -> Moment
    /// Asked before anything is kept; nil while there is memory. Any thread; never blocks.
    public var memoryShortage: @Sendable () -> MemoryShortage?

    public init(
        random: @escaping @Sendable () -> UInt64, now: @escaping @Sendable () -> Int,
        uptime: @escaping @Sendable () -> Int = Environment.systemUptime,
        moment: @escaping @Sendable () -> Moment = Moment.now,
        memoryShortage: @escaping @Sendable () -> MemoryShortage? = { nil }
    ) {
        self.random = random
        self.now = now
        self.uptime = uptime
        self.moment = moment
        self.memoryShortage = memoryShortage
    }

    public static let systemUptime: @Sendable () -> Int = {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return time.tv_sec
    }

    public static let system = Environment(
        random: { RandomWords.shared.next() },
        now: { time(nil) })
}

extension Environment {
    /// A random one.
    func uid() -> Written<ObjectUID> { .value(ObjectUID(random: random(), random())) }

    /// The present second.
    func timestamp() -> Written<CreationTime> { .value(CreationTime(seconds: UInt32(clamping: now()))) }
}

/// Random words from the kernel, fetched many at a time: asking for eight bytes costs as much as asking for five hundred.
/// Thread-safe.
private final class RandomWords: Sendable {
    static let shared = RandomWords()

    /// As many as the kernel gives in one call: 256 bytes.
    private static let count = 32

    private struct Supply {
        var words = [UInt64](repeating: 0, count: count)
        var next = count
    }

    private let supply = Mutex(Supply())

    func next() -> UInt64 {
        supply.withLock { supply in
            if supply.next == Self.count {
                let failure = supply.words.withUnsafeMutableBytes { getentropy($0.baseAddress!, $0.count) }
                precondition(failure == 0, "the kernel gives no random numbers")
                supply.next = 0
            }
            defer { supply.next += 1 }
            return supply.words[supply.next]
        }
    }
}
