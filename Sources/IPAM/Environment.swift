import Glibc
public import Measures
import Synchronization

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
    /// A random (version 4) UUID of RFC 9562.
    func uuid() -> String {
        let high = random() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = random() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits: StaticString = "0123456789abcdef"
        return String(unsafeUninitializedCapacity: 36) { buffer in
            var position = 0
            for nibble in 0..<32 {
                if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 {
                    buffer[position] = UInt8(ascii: "-")
                    position += 1
                }
                let word = nibble < 16 ? high : low
                buffer[position] = digits.utf8Start[Int(word >> UInt64(60 - nibble % 16 * 4) & 0xF)]
                position += 1
            }
            return position
        }
    }

    /// The time of day as Kubernetes writes it: RFC 3339, UTC, to the second, such as `2026-11-24T08:46:47Z`.
    func timestamp() -> String {
        var seconds = time_t(now())
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return String(unsafeUninitializedCapacity: 20) { buffer in
            var position = 0
            func put(_ value: Int32, _ separator: Unicode.Scalar) {
                buffer[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / 10 % 10)
                buffer[position + 1] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10)
                buffer[position + 2] = UInt8(ascii: separator)
                position += 3
            }
            let year = 1900 + parts.tm_year
            put(year / 100, "-")
            position -= 1
            put(year, "-")
            put(parts.tm_mon + 1, "-")
            put(parts.tm_mday, "T")
            put(parts.tm_hour, ":")
            put(parts.tm_min, ":")
            put(parts.tm_sec, "Z")
            return position
        }
    }
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
