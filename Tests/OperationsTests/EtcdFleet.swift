import EtcdSupport
import Foundation
import Histories
import NIOCore
import OpenSSLTLS
import ServerSupport
import Synchronization
import TandemAPI
import TandemClient
import TestSupport

/// Three members of etcd and three servers over them, of which some are killed or stopped and come again.
actor EtcdFleet {
    enum Blow: CaseIterable { case kill, stop }

    /// The fault of one of the servers and of one of the members.
    struct Fault: Sendable, CustomStringConvertible {
        var server: (index: Int, blow: Blow)
        var member: (index: Int, blow: Blow)

        var description: String { "\(server.blow) server \(server.index), \(member.blow) member \(member.index)" }
    }

    nonisolated let cluster: EtcdCluster
    private var servers: [ServerProcess] = []
    /// Seconds by which a server's time of day is wrong.
    private let offsets: [Int]
    private let clock: OtherClock?
    private nonisolated let numbers = Mutex<[Int]>([])

    init(offsets: [Int] = [0, 0, 0]) async throws {
        self.offsets = offsets
        clock = offsets.allSatisfy { $0 == 0 } ? nil : try OtherClock()
        cluster = try await EtcdCluster(members: 3)
        for index in offsets.indices { servers.append(try await start(index)) }
        let ports = servers.map(\.port)
        numbers.withLock { $0 = ports }
    }

    /// Of the servers, as they are now: one that was killed has another when it is back.
    nonisolated var ports: [Int] { numbers.withLock { $0 } }

    private func start(_ index: Int) async throws -> ServerProcess {
        let shift = clock?.environment(offsets[index]) ?? []
        let members = cluster.servers
        return try await onOwnThread {
            try ServerProcess(
                command: shift + [ServerProcess.program] + ServerProcess.tls + ServerProcess.ranges + [
                    "--etcd-servers=\(members)", "--secure-port=0", "--log-format=json",
                ])
        }
    }

    func begin(_ fault: Fault) {
        let (server, member) = (servers[fault.server.index], cluster.members[fault.member.index])
        switch fault.server.blow {
        case .kill: server.crash()
        case .stop: server.send(SIGSTOP)
        }
        switch fault.member.blow {
        case .kill: member.crash()
        case .stop: member.send(SIGSTOP)
        }
    }

    func end(_ fault: Fault) async throws {
        let member = cluster.members[fault.member.index]
        switch fault.member.blow {
        case .kill: try await member.restart()
        case .stop: member.send(SIGCONT)
        }
        switch fault.server.blow {
        case .kill:
            let index = fault.server.index
            let server = try await start(index)
            servers[index] = server
            numbers.withLock { [port = server.port] in $0[index] = port }
        case .stop: servers[fault.server.index].send(SIGCONT)
        }
    }

    /// The logs of servers that ended without being killed.
    func stop() -> [String] { servers.filter { $0.stop() != 0 }.map(\.log.text) }

    /// The state of each server, and of one that starts now and reads everything anew; first the faults that each finds.
    func books() async throws -> (faults: [String], lists: Set<String>) {
        let late = try await start(0)
        defer { _ = late.stop() }
        let ports = ports + [late.port]
        return try await onOwnThread {
            var faults: [String] = []
            var lists: Set<String> = []
            for port in ports {
                let control = Ctl(port: port)
                let check = control("check")
                if check.status != 0 { faults.append(check.output + check.errors) }
                let ready = Curl(port: port).request("/readyz?verbose")
                if ready.status != 200 { faults.append(ready.body) }
                lists.insert(
                    ["services", "nodes", "pods"].map { control("get \($0) -A -o json").output }.joined())
            }
            return (faults, lists)
        }
    }
}

/// Lets a program see another time of day: a library that is loaded before the system's. Clocks that only go forward are left alone.
/// Two see the true time: OpenSSL, as certificates are a moment old here, and libdispatch, which has the kernel wait until a
/// time of day.
struct OtherClock {
    private let directory = ScratchDirectory()

    static let isAvailable = Command.run("gcc", ["--version"]).status == 0

    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/time.h>
        #include <time.h>

        static long offset(void *caller) {
            Dl_info library;
            if (dladdr(caller, &library) &&
                (strstr(library.dli_fname, "libcrypto") || strstr(library.dli_fname, "libdispatch"))) return 0;
            return atol(getenv("CLOCK_OFFSET"));
        }

        int clock_gettime(clockid_t clock, struct timespec *now) {
            int (*next)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
            int result = next(clock, now);
            if (clock == CLOCK_REALTIME) now->tv_sec += offset(__builtin_return_address(0));
            return result;
        }

        int gettimeofday(struct timeval *now, void *zone) {
            int (*next)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
            int result = next(now, zone);
            now->tv_sec += offset(__builtin_return_address(0));
            return result;
        }

        time_t time(time_t *now) {
            time_t (*next)(time_t *) = dlsym(RTLD_NEXT, "time");
            time_t result = next(0) + offset(__builtin_return_address(0));
            if (now) *now = result;
            return result;
        }
        """

    struct NotMade: Error, CustomStringConvertible {
        var description: String
    }

    private var library: String { "\(directory.path)/clock.so" }

    init() throws {
        let made = Command.run("gcc", ["-shared", "-fPIC", "-x", "c", "-o", library, "-"], input: Self.source)
        guard made.status == 0 else { throw NotMade(description: made.errors) }
    }

    /// For `env`, before a program.
    func environment(_ seconds: Int) -> [String] { ["LD_PRELOAD=\(library)", "CLOCK_OFFSET=\(seconds)"] }
}
