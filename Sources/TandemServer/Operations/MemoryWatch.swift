import Glibc
import IPAM
import Logging
import Measures
import Synchronization

/// Holds the memory in use to `--memory-limit`: past it nothing more is kept, rather than that the kernel ends the process and each
/// start reads everything back. Thread-safe; a question for a shortage is one load.
final class MemoryWatch: Sendable {
    /// In bytes; 0 for none.
    let limit: Int
    private let logger: Logger
    private let use: @Sendable () -> Int
    // Relaxed: one number, which orders nothing. 0 while there is no shortage.
    private let usedPastLimit = Atomic<Int>(0)

    /// Between two looks. In so long the event loops of a large machine keep no more than a part of the reserve.
    private static let interval = Duration.milliseconds(100)
    /// Looks of a shortage between two attempts to give free memory back, which hold up every allocation for milliseconds.
    private static let looksPerRelease = 50

    init(limit: Int, _ logger: Logger, use: @escaping @Sendable () -> Int = MemoryWatch.bytesInUse) {
        self.limit = limit
        self.logger = logger
        self.use = use
    }

    /// As of the last look.
    var shortage: MemoryShortage? {
        let used = usedPastLimit.load(ordering: .relaxed)
        return used == 0 ? nil : MemoryShortage(used: used, limit: limit)
    }

    /// Until the task is cancelled.
    func run() async {
        guard limit > 0 else { return }
        var looks = 0
        while !Task.isCancelled {
            look(releasing: looks % Self.looksPerRelease == 0)
            looks = shortage == nil ? 0 : looks + 1
            guard (try? await Task.sleep(for: Self.interval)) != nil else { return }
        }
    }

    /// Compares once. Past the limit, and where that is asked for, memory that is free in the process is given back first: released memory
    /// would count as in use for ever otherwise.
    func look(releasing: Bool) {
        var used = use()
        if used > limit, releasing {
            releaseFreeMemory()
            used = use()
        }
        let wasShort = usedPastLimit.exchange(used > limit ? used : 0, ordering: .relaxed) > 0
        guard wasShort != (used > limit) else { return }
        let metadata: Logger.Metadata = ["usedMiB": "\(used >> 20)", "limitMiB": "\(limit >> 20)"]
        if wasShort {
            logger.notice("memory in use is below --memory-limit again", metadata: metadata)
        } else {
            logger.error(
                "memory in use is past --memory-limit: nothing more is kept until something is released or the limit is raised",
                metadata: metadata)
        }
    }

    // MARK: Where the numbers come from

    /// Resident memory that no file has a copy of: it counts against a container and can't be dropped.
    static let bytesInUse: @Sendable () -> Int = {
        let fields = ProcessStatistics.fields("/proc/self/statm")
        guard fields.count > 2, let resident = Int(fields[1]), let shared = Int(fields[2]) else { return 0 }
        return (resident - shared) * sysconf(Int32(_SC_PAGESIZE))
    }

    /// The memory that the process may use, less an eighth for the kernel's part of it (sockets, files), or 64 MiB if that is more, but no more than
    /// half: by the limits of its cgroups (of either version), or the machine's memory. Blocks.
    static func defaultLimit(root: String = "") -> Int {
        let groups = text("\(root)/proc/self/cgroup").split(separator: "\n").flatMap { line -> [String] in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else { return [] }
            if parts[0] == "0" { return files("\(root)/sys/fs/cgroup", parts[2], "memory.max") }
            guard parts[1].split(separator: ",").contains("memory") else { return [] }
            return files("\(root)/sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes")
        }
        let machine = text("\(root)/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
            .flatMap { $0.split(separator: " ").dropFirst().first.flatMap { Int($0) } }.map { $0 << 10 }
        // A group without a limit says `max`, or a number past all memory.
        let limits = groups.compactMap { Int(text($0).prefix { $0 != "\n" }) } + (machine.map { [$0] } ?? [])
        guard let least = limits.min(), least > 0 else { return 0 }
        return max(least / 2, least - max(least / 8, 64 << 20))
    }

    /// Of the group and of those around it: each limits the groups inside. In a container the path may be that of the host, and the
    /// mounted directory the group itself.
    private static func files(_ mount: String, _ path: String, _ name: String) -> [String] {
        var files = ["\(mount)/\(name)"]
        var folder = mount
        for part in path.split(separator: "/") {
            folder += "/\(part)"
            files.append("\(folder)/\(name)")
        }
        return files
    }

    /// Empty where it can't be read.
    private static func text(_ path: String) -> String { ProcessStatistics.text(path, maximumBytes: 64 << 10) }
}

extension MetricsText {
    mutating func add(_ memory: MemoryWatch) {
        add(
            "tandem_memory_limit_bytes", .gauge,
            "--memory-limit, or the memory that the container or the machine leaves; 0 for none.",
            memory.limit)
        add(
            "tandem_memory_short", .gauge, "1 while memory in use is past the limit and nothing more is kept.",
            memory.shortage == nil ? 0 : 1)
    }
}
