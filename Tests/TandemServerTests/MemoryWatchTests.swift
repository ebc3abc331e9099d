import Foundation
import IPAM
import Logging
import Synchronization
import TestSupport
import Testing

@testable import TandemServer

@Suite("Memory in use and its limit")
struct MemoryTests {
    @Test(
        "a shortage begins past the limit and ends below it; memory that is free is given back only where that is asked for"
    )
    func watches() {
        let used = Mutex((value: 100, asked: 0))
        let watch = MemoryWatch(limit: 1_000, Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
            used.withLock { used in
                used.asked += 1
                return used.value
            }
        }
        func look(_ value: Int, releasing: Bool = false) -> Int {
            used.withLock { $0 = (value, 0) }
            watch.look(releasing: releasing)
            return used.withLock { $0.asked }
        }
        #expect(look(1_000, releasing: true) == 1 && watch.shortage == nil)
        #expect(look(1_001) == 1)
        #expect(watch.shortage == MemoryShortage(used: 1_001, limit: 1_000))
        #expect(look(1_500, releasing: true) == 2)
        #expect(watch.shortage?.used == 1_500)
        #expect(look(999) == 1 && watch.shortage == nil)
    }

    /// The limit that a process sees which has these files.
    private func limit(_ files: [String: String]) throws -> Int {
        let root = ScratchDirectory()
        for (path, content) in files {
            let file = URL(fileURLWithPath: root.path + path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try content.write(to: file, atomically: true, encoding: .utf8)
        }
        return MemoryWatch.defaultLimit(root: root.path)
    }

    @Test("the least limit of the group, of those around it and of the machine counts, less an eighth or 64 MiB")
    func findsLimits() throws {
        let machine = ["/proc/meminfo": "MemTotal:       16777216 kB\nMemFree:  1 kB\n"]
        let (mebibyte, gibibyte) = (1 << 20, 1 << 30)
        #expect(try limit([:]) == 0)
        #expect(try limit(machine) == 14 * gibibyte)
        func second(_ path: String, _ limits: [String: String]) throws -> Int {
            var files = machine
            files["/proc/self/cgroup"] = "0::\(path)\n"
            for (folder, limit) in limits { files["/sys/fs/cgroup\(folder)/memory.max"] = limit + "\n" }
            return try self.limit(files)
        }
        // In a container its own group is the root.
        #expect(try second("/", ["": "\(2 * gibibyte)"]) == 1_792 * mebibyte)
        #expect(try second("/a/b", ["/a": "\(2 * gibibyte)", "/a/b": "max"]) == 1_792 * mebibyte)
        #expect(try second("/a/b", ["/a": "\(2 * gibibyte)", "/a/b": "\(256 * mebibyte)"]) == 192 * mebibyte)
        #expect(try second("/a", ["/a": "\(100 * mebibyte)"]) == 50 * mebibyte)
        #expect(try second("/a", ["/a": "max"]) == 14 * gibibyte)
        // Of the first version a group without a limit has a number past all memory.
        let first = machine.merging([
            "/proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "\(gibibyte)\n",
        ]) { $1 }
        #expect(try limit(first) == 896 * mebibyte)
    }

    @Test("the memory counted is the process's own, without files that it has mapped")
    func counts() {
        let before = MemoryWatch.bytesInUse()
        let bytes = [UInt8](repeating: 1, count: 64 << 20)
        let after = MemoryWatch.bytesInUse()
        #expect(before > 1 << 20 && after - before > 48 << 20, "\(before) \(after) \(bytes.count)")
    }
}
