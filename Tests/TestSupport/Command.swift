import Foundation

/// A program that is run to its end.
public enum Command {
    public struct Result: Sendable {
        public var status: Int32
        public var output: String
        public var errors: String
    }

    /// Runs it. The kernel kills a program that takes more processor time than `processorSeconds`.
    public static func run(
        _ name: String, _ arguments: [String], input: String? = nil, processorSeconds: Int? = nil
    ) -> Result {
        if let processorSeconds {
            return run(
                "sh", ["-c", "ulimit -t \(processorSeconds); exec \"$@\"", "sh", name] + arguments, input: input)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: name.hasPrefix("/") ? name : "/usr/bin/env")
        process.arguments = name.hasPrefix("/") ? arguments : [name] + arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        if let input {
            // A file, as a pipe would hold no more than 64 KiB before it is read.
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("tandem-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            _ = FileManager.default.createFile(atPath: file.path, contents: Data(input.utf8))
            process.standardInput = FileHandle(forReadingAtPath: file.path)
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        do {
            try process.run()
        } catch {
            return Result(status: -1, output: "", errors: "\(error)")
        }
        // Small outputs: neither pipe fills while the other is read.
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let complaint = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: complaint, as: UTF8.self))
    }

    /// Where a program is: on the path, or where `docker/deps.sh --tests` put it; nil where it is not to be had.
    public static func find(_ name: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let tools = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../.build/tools/usr/bin").standardized.path
        return (folders + [tools]).map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
