package import Glibc

/// The time of day for people to read.
package enum Timestamp {
    /// Whole seconds since 1970.
    package static var seconds: Int64 { Int64(Glibc.time(nil)) }

    /// RFC 3339 in UTC, to the millisecond.
    package static func now() -> String {
        text(time, fractionDigits: 3)
    }

    package static var time: timespec {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time
    }

    /// RFC 3339 in UTC, to the second, or with 1 to 9 digits of a fraction, cut off.
    package static func text(_ time: timespec, fractionDigits: Int) -> String {
        var (time, parts) = (time, tm())
        gmtime_r(&time.tv_sec, &parts)
        func pad(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(1900 + parts.tm_year)-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))"
            + "T\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
            + (fractionDigits == 0 ? "Z" : ".\(pad(time.tv_nsec, 9).prefix(fractionDigits))Z")
    }
}
