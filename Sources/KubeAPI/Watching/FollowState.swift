/// The next step of a client that follows a collection and all its changes; without I/O.
package struct FollowState {
    package enum Step: Hashable {
        case list
        /// Read the server's version, and then `looked`.
        case look
        case watch(from: String)
    }

    /// Of the last that was told; nil where a list must come first.
    private var version: String?
    /// The last watch told nothing: its version may be still to come, or nothing has changed.
    private var isSuspect = false
    private var hasTold = false
    /// In a row.
    private var failures = 0
    /// Before the next step.
    package private(set) var pause = Duration.zero

    private static let shortestPause = Duration.milliseconds(800)
    private static let longestPause = Duration.seconds(30)
    /// A watch that has lived so long has not failed.
    private static let lifetime = Duration.seconds(1)

    package init() {}

    package var step: Step {
        guard let version else { return .list }
        return isSuspect ? .look : .watch(from: version)
    }

    package mutating func listed(_ version: String) { (self.version, pause, isSuspect) = (version, .zero, false) }

    /// The server is at `found`. False where that is older than a version that it has sent: its store has been replaced.
    package mutating func looked(_ found: String) -> Bool {
        isSuspect = false
        guard let mine = version.flatMap({ UInt64($0) }), let found = UInt64(found), found >= mine else {
            version = nil
            return false
        }
        return true
    }

    package mutating func begun() { hasTold = false }

    /// A watch has told all up to `version`.
    package mutating func told(_ version: String?) {
        (failures, hasTold) = (0, true)
        if let version { self.version = version }
    }

    /// A watch has ended in an orderly way, or for its silence.
    package mutating func ended(after lifetime: Duration) {
        isSuspect = !hasTold
        if lifetime >= Self.lifetime { failures = 0 } else { failures += 1 }
        pause = failures > 1 ? backOff : .zero
    }

    /// A list or a watch has failed. `hasBegun`: a watch, whose head was there.
    package mutating func failed(_ error: KubeError, hasBegun: Bool) {
        failures += 1
        switch error.code {
        // The changes since are not known: the version is too old, or still to come.
        case .gone: version = nil
        case .timedOut where !hasBegun: version = nil
        // An unreadable event would come again.
        case .malformedAnswer, .tooLarge, .badRequest, .notFound, .invalid: version = nil
        default: break
        }
        pause = error.code == .gone && failures == 1 ? .zero : max(backOff, error.retryAfter ?? .zero)
    }

    private var backOff: Duration {
        min(Self.shortestPause * (1 << min(failures - 1, 10)), Self.longestPause)
    }
}
