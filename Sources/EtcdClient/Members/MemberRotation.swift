import NIOCore

/// Which member is next, and how long to wait before it is tried.
struct MemberRotation {
    private static let shortestPause = TimeAmount.milliseconds(50)
    private static let longestPause = TimeAmount.milliseconds(500)

    private let count: Int
    /// The member that is in use, or is to be tried.
    private(set) var current: Int
    /// Since a member last answered a request.
    private var failures = 0

    init(count: Int, first: Int = 0) {
        self.count = count
        current = first
    }

    mutating func succeeded() {
        failures = 0
    }

    /// Moves on, and says how long to wait. The first failure costs no time; from there on each wait is twice the one before.
    mutating func failed() -> TimeAmount {
        current = (current + 1) % count
        defer { failures = min(failures + 1, 16) }
        guard failures > 0 else { return .zero }
        return min(Self.longestPause, Self.shortestPause * (1 << (failures - 1)))
    }
}
