import Glibc
import Measures
import Synchronization

/// The kernel's figures of this process, under the names that every Prometheus client library gives it.
enum ProcessStatistics {
    static func add(to metrics: inout MetricsText) {
        var usage = rusage()
        if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
            let seconds = [usage.ru_utime, usage.ru_stime].reduce(0) {
                $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6
            }
            metrics.add(
                "process_cpu_seconds_total", .counter, "User and system CPU time spent, in seconds.", seconds)
        }
        if let pages = fields("/proc/self/statm").dropFirst().first.flatMap({ Int($0) }) {
            metrics.add(
                "process_resident_memory_bytes", .gauge, "Resident memory, in bytes.",
                pages * sysconf(Int32(_SC_PAGESIZE)))
        }
        if let open = openFiles() {
            metrics.add("process_open_fds", .gauge, "Open file descriptors.", open)
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            metrics.add("process_max_fds", .gauge, "The most file descriptors that may be open.", limit.rlim_cur)
        }
        metrics.add(
            "process_start_time_seconds", .gauge, "When the process started, in seconds since 1970.", startTime)
    }

    private static let startTime = time(nil)

    /// Notes when the process started: now.
    static func begin() { _ = startTime }

    /// Blocks for a moment.
    static func fields(_ path: String) -> [Substring] { text(path, maximumBytes: 512).split(separator: " ") }

    /// The beginning of a file of the kernel's; empty where it can't be read. Blocks for a moment.
    static func text(_ path: String, maximumBytes: Int) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: maximumBytes)
        let count = max(0, read(descriptor, &bytes, bytes.count))
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private static func openFiles() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        // Not counted: this directory itself, and its two names for directories.
        var count = -3
        while readdir(directory) != nil { count += 1 }
        return count
    }
}
