import Glibc
import Measures

/// Moments as Kubernetes writes them.
enum KubeTime {
    /// To the second, as events have it.
    static func seconds(_ time: timespec = Timestamp.time) -> String { Timestamp.text(time, fractionDigits: 0) }

    /// With exactly six digits of a fraction, as leases must have it.
    static func microseconds(_ time: timespec = Timestamp.time) -> String { Timestamp.text(time, fractionDigits: 6) }
}
