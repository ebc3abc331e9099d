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
        return String(unsafeUninitializedCapacity: 36) { buffer in
            let text = UnsafeMutableRawBufferPointer(buffer)
            // Eight digits each, the first in the lowest byte.
            let (first, second) = (hexadecimal(high >> 32), hexadecimal(high))
            let (third, fourth) = (hexadecimal(low >> 32), hexadecimal(low))
            func put(_ digits: some FixedWidthInteger & BitwiseCopyable, at place: Int) {
                text.storeBytes(of: digits.littleEndian, toByteOffset: place, as: type(of: digits))
            }
            put(first, at: 0)
            put(UInt32(truncatingIfNeeded: second), at: 9)
            put(UInt32(truncatingIfNeeded: second >> 32), at: 14)
            put(UInt32(truncatingIfNeeded: third), at: 19)
            put(UInt32(truncatingIfNeeded: third >> 32), at: 24)
            put(fourth, at: 28)
            for place in [8, 13, 18, 23] { put(UInt8(ascii: "-"), at: place) }
            return 36
        }
    }

    /// The time of day as Kubernetes writes it: RFC 3339, UTC, to the second, such as `2026-11-24T08:46:47Z`.
    func timestamp() -> String {
        let now = now()
        return Self.lastTimestamp.withLock { last in
            if last.seconds != now { last = (now, Self.timestamp(of: now)) }
            return last.text
        }
    }

    /// The last one, which serves for a second.
    private static let lastTimestamp = Mutex((seconds: 0, text: timestamp(of: 0)))

    private static func timestamp(of seconds: Int) -> String {
        var seconds = time_t(seconds)
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

/// The lower half's eight digits, the first in the lowest byte: all eight are made side by side.
private func hexadecimal(_ value: UInt64) -> UInt64 {
    // One nibble a byte, the highest nibble in the lowest byte.
    var digits = UInt64(UInt32(truncatingIfNeeded: value).byteSwapped)
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF
    digits = (digits >> 4 | digits << 8) & 0x0F0F_0F0F_0F0F_0F0F
    // 1 in each byte past 9.
    let letters = (digits &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    return digits &+ 0x3030_3030_3030_3030 &+ letters &* UInt64(UInt8(ascii: "a") - UInt8(ascii: "0") - 10)
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
