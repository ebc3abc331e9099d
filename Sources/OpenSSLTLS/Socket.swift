import Glibc
import NIOCore

/// A moment on the clock that only ever goes forward. Compares and adds; thread-safe as a value.
public struct MonotonicInstant: Sendable, Hashable, Comparable {
    /// Since the machine started.
    public var nanoseconds: Int64

    public static var now: MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    public func advanced(milliseconds: Int) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: nanoseconds + Int64(milliseconds) * 1_000_000)
    }

    /// Rounded up, so that waiting this long does not wake too early; 0 once the moment has passed.
    public var millisecondsLeft: Int {
        max(0, Int((nanoseconds - Self.now.nanoseconds + 999_999) / 1_000_000))
    }

    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
}

/// A client's TCP socket, which never blocks by itself.
enum Socket {
    /// One whose connection is under way, owned by the caller: once it can be written to, `checkConnected` says how it went.
    static func beginConnecting(to address: SocketAddress) throws(TLSStreamFailure) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let (socket, outcome) = address.withSockAddr { pointer, size in
            let socket = Glibc.socket(Int32(pointer.pointee.sa_family), kind, 0)
            guard socket >= 0, Glibc.connect(socket, pointer, socklen_t(size)) != 0 else {
                return (socket, socket < 0 ? errno : 0)
            }
            return (socket, errno == EINPROGRESS ? 0 : errno)
        }
        guard outcome == 0 else {
            if socket >= 0 { close(socket) }
            throw .unreachable(reason(outcome))
        }
        // One line out, one line in: nothing is gained by waiting for more to send.
        var yes: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        return socket
    }

    static func checkConnected(_ socket: Int32) throws(TLSStreamFailure) {
        var (outcome, size) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &outcome, &size)
        guard outcome == 0 else { throw .unreachable(reason(outcome)) }
    }

    /// Blocks until one of the sockets can be read or written, whichever its events say; which ones can, none at the deadline.
    static func wait(_ entries: [(socket: Int32, events: Int32)], deadline: MonotonicInstant) -> [Bool] {
        var polled = entries.map { pollfd(fd: $0.socket, events: Int16($0.events), revents: 0) }
        while true {
            let count = poll(&polled, nfds_t(polled.count), Int32(clamping: deadline.millisecondsLeft))
            if count >= 0 || errno != EINTR { return polled.map { $0.revents != 0 } }
        }
    }

    static func reason(_ code: Int32) -> String {
        code == 0 ? "closed by the other side" : String(cString: strerror(code))
    }
}
