import Foundation
import TestSupport
import Workloads

/// The cost of a start on a database of many objects.
func recoveryTable(sizes: [Int]) throws {
    let table = Table(
        "Recovery", ["objects", "until ready", "processor time", "an object", "resident memory an object"])
    let empty = try recovered(count: 0)
    for size in sizes {
        let result = try recovered(count: size)
        let memory = (result.residentBytes - empty.residentBytes) / Double(size)
        table.row([
            "\(size)", String(format: "%.2f s", result.seconds), String(format: "%.2f s", result.processorSeconds),
            microseconds(result.processorSeconds * 1e9 / Double(size)), String(format: "%.0f bytes", memory),
        ])
    }
}

private struct RecoveryResult: Codable {
    var seconds: Double
    var processorSeconds: Double
    var residentBytes: Double
}

/// Starts another process on a database that is made here, so that it begins with fresh memory, as after a crash.
private func recovered(count: Int) throws -> RecoveryResult {
    let scratch = ScratchDirectory()
    try StoredCluster.make(in: scratch.path, objects: count)
    let result = Command.run("/proc/self/exe", ["recover", scratch.path])
    guard result.status == 0 else { preconditionFailure("the recovery failed: \(result.output)\(result.errors)") }
    return try JSONDecoder().decode(RecoveryResult.self, from: Data(result.output.utf8))
}

/// The other process.
func recover(_ directory: String) throws {
    let (wall, processor) = (Clock.wall.now, Clock.process.now)
    let engine = try StoredCluster.open(directory)
    let result = RecoveryResult(
        seconds: Double(Clock.wall.now - wall) / 1e9, processorSeconds: Double(Clock.process.now - processor) / 1e9,
        residentBytes: residentBytes())
    print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    withExtendedLifetime(engine) {}
}

private func residentBytes() -> Double {
    let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    return fields.count > 1 ? (Double(fields[1]) ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))) : 0
}
