import Glibc

/// Moments as Kubernetes writes them: RFC 3339 in UTC.
enum KubeTime {
    /// To the second, as events have it.
    static func seconds() -> String { text(now(), digits: false) }

    /// With exactly six digits of a fraction, as leases must have it.
    static func microseconds() -> String { text(now(), digits: true) }

    private static func now() -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time
    }

    static func text(_ time: timespec, digits: Bool) -> String {
        var (time, parts) = (time, tm())
        gmtime_r(&time.tv_sec, &parts)
        func pad(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(1900 + parts.tm_year)-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))"
            + "T\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
            + (digits ? ".\(pad(time.tv_nsec / 1_000, 6))Z" : "Z")
    }
}
