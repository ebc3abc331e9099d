import Glibc

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

/// A TCP connection with deadlines.
enum Socket {
    /// A connected, non-blocking socket that the caller owns.
    static func connect(
        host: String, port: Int, deadline: MonotonicInstant
    ) throws(BlockingTLSStream.Failure) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else {
            throw .unreachable("can't find \(host): \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(list) }
        var failure = BlockingTLSStream.Failure.unreachable("\(host) has no address")
        var next = list
        while let address = next?.pointee {
            do throws(BlockingTLSStream.Failure) {
                return try connect(address, deadline)
            } catch {
                failure = .unreachable("can't connect to \(host) port \(port): \(error)")
            }
            next = address.ai_next
        }
        throw failure
    }

    private static func connect(
        _ address: addrinfo, _ deadline: MonotonicInstant
    ) throws(BlockingTLSStream.Failure) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let socket = Glibc.socket(address.ai_family, kind, 0)
        guard socket >= 0 else { throw .unreachable(reason(errno)) }
        do throws(BlockingTLSStream.Failure) {
            if Glibc.connect(socket, address.ai_addr, address.ai_addrlen) != 0 {
                guard errno == EINPROGRESS else { throw .unreachable(reason(errno)) }
                try wait(socket, for: POLLOUT, deadline: deadline)
                var (outcome, size) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
                getsockopt(socket, SOL_SOCKET, SO_ERROR, &outcome, &size)
                guard outcome == 0 else { throw .unreachable(reason(outcome)) }
            }
            // One line out, one line in: nothing is gained by waiting for more to send.
            var yes: Int32 = 1
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
            return socket
        } catch {
            close(socket)
            throw error
        }
    }

    /// Blocks until the socket can be read or written, whichever `events` says.
    static func wait(
        _ socket: Int32, for events: Int32, deadline: MonotonicInstant
    ) throws(BlockingTLSStream.Failure) {
        while true {
            var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
            let count = poll(&entry, 1, Int32(clamping: deadline.millisecondsLeft))
            if count > 0 { return }
            if count == 0 { throw .unreachable("no answer in time") }
            guard errno == EINTR else { throw .unreachable(reason(errno)) }
        }
    }

    static func reason(_ code: Int32) -> String {
        code == 0 ? "closed by the other side" : String(cString: strerror(code))
    }
}
