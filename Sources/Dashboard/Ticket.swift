import Synchronization

/// Lets a browser in that is started with an address on its command line, which other users of the machine can read: good once, after which it
/// leads nowhere. Thread-safe.
final class Ticket: Sendable {
    private let token = Mutex<Token?>(nil)

    /// In place of one that was not used.
    func issue() -> Token {
        let issued = Token()
        token.withLock { $0 = issued }
        return issued
    }

    func redeem(_ text: Substring) -> Bool {
        token.withLock { token in
            guard token?.isEqual(to: text) == true else { return false }
            token = nil
            return true
        }
    }
}
