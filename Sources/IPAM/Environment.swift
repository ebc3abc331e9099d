import Glibc
import Synchronization

/// What the engine takes from the world beside its calls, so that a test can decide it: chance and the time of day.
public struct Environment: Sendable {
    /// 64 random bits; thread-safe.
    public var random: @Sendable () -> UInt64
    /// Seconds since 1970 in UTC. Only shown (`creationTimestamp`), never decided by: the clock may jump.
    public var now: @Sendable () -> Int

    public init(random: @escaping @Sendable () -> UInt64, now: @escaping @Sendable () -> Int) {
        self.random = random
        self.now = now
    }

    public static let system = Environment(
        random: { UInt64.random(in: .min ... .max) },
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

    /// The time of day as Kubernetes writes it: RFC 3339, UTC, to the second.
    func timestamp() -> String {
        var seconds = time_t(now())
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func pad(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(1900 + parts.tm_year)-\(pad(parts.tm_mon + 1))-\(pad(parts.tm_mday))"
            + "T\(pad(parts.tm_hour)):\(pad(parts.tm_min)):\(pad(parts.tm_sec))Z"
    }
}
