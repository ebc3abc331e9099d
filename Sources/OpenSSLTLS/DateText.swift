import COpenSSL
import Glibc

/// A moment as people read it: `2026-11-27T06:16:19Z`.
enum DateText {
    static func of(_ time: UnsafePointer<ASN1_TIME>?) -> String {
        PeerCertificate.seconds(time).map(of) ?? "a date that can't be read"
    }

    /// Of seconds since 1970.
    static func of(_ seconds: Int64) -> String {
        var (time, parts) = (time_t(clamping: seconds), tm())
        var text = [CChar](repeating: 0, count: 32)
        guard gmtime_r(&time, &parts) != nil, strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0 else {
            return "the second \(seconds) since 1970"
        }
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}
