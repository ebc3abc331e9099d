import Measures
import NIOCore
import Synchronization

/// Which lines of the log are written, of those that callers can bring about in any number: for each cause and caller the
/// first at once, then one a second that says how many it stands for. Clients without a certificate have places of their own, so that they
/// take none from the others. Thread-safe.
final class LineLimits: Sendable {
    /// The caller of a line: known by its certificate's user, else by its address.
    enum Caller: Hashable, Sendable {
        case user(String)
        /// Of IPv6 the network of 64 bits, as one subscriber has such a network.
        case stranger(UInt64)
        case server

        init(_ address: SocketAddress?) {
            guard let address else {
                self = .stranger(0)
                return
            }
            // As the system calls take it: the address lies behind family and port, of IPv6 also behind the flow.
            let number = address.withSockAddr { pointer, size in
                let bytes = UnsafeRawBufferPointer(start: pointer, count: size)
                switch address.protocol {
                case .inet: return UInt64(bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
                case .inet6:
                    let network = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                    // As a socket of both families shows a client over IPv4.
                    let isMapped = network == 0
                    return isMapped ? UInt64(bytes.loadUnaligned(fromByteOffset: 20, as: UInt32.self)) : network
                default: return 0
                }
            }
            self = .stranger(number)
        }
    }

    private let known = Mutex(LineTally<Key>())
    private let strangers = Mutex(LineTally<Key>())
    // Relaxed: a count that orders nothing.
    private let suppressed = Atomic<UInt64>(0)

    /// The key of lines, of a length that no client chooses.
    private struct Key: Hashable {
        var cause: Int
        var caller: Int
    }

    /// Counts one. Returns the counts of a line that is due now; nil where none is due.
    func note(_ cause: String, _ caller: Caller, _ now: Moment = .now()) -> TalliedLine? {
        let key = Key(cause: cause.hashValue, caller: caller.hashValue)
        let line =
            switch caller {
            case .stranger: strangers.withLock { $0.note(key, now) }
            case .user, .server: known.withLock { $0.note(key, now) }
            }
        if line == nil { suppressed.wrappingAdd(1, ordering: .relaxed) }
        return line
    }

    /// Lines that were not written.
    var suppressedLines: UInt64 { suppressed.load(ordering: .relaxed) }
}
