/// A file of JSON lines that rotates.
public struct AuditSettings: Sendable {
    public var path: String
    /// The size past which a new file is begun.
    public var maximumBytes: Int
    /// Older files that are kept.
    public var backups: Int
    /// Which calls of those with a certificate are kept.
    public var policy: Policy

    public enum Policy: String, Sendable, CaseIterable {
        /// Those that change something, or would, were they not refused.
        case changes
        /// Reads and dry runs as well.
        case all
    }
}
