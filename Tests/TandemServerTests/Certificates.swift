import Foundation

/// Development certificates, made once for all tests by the script that users run.
final class Certificates: Sendable {
    static let shared = Certificates()

    let directory: String

    private init() {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../certs/generate.sh").standardized.path
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("tandem-certs-\(getpid())").path
        let result = Command.run("bash", [script, directory])
        precondition(result.status == 0, "certs/generate.sh failed: \(result.errors)")
    }

    var ca: String { "\(directory)/ca.crt" }
    func certificate(_ name: String) -> String { "\(directory)/\(name).crt" }
    func key(_ name: String) -> String { "\(directory)/\(name).key" }
}

/// A directory that goes away with the test.
final class ScratchDirectory: Sendable {
    let path: String

    init() {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("tandem-\(UUID().uuidString)").path
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A program that is run to its end.
enum Command {
    struct Result {
        var status: Int32
        var output: String
        var errors: String
    }

    static func run(_ name: String, _ arguments: [String], input: String? = nil) -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: name.hasPrefix("/") ? name : "/usr/bin/env")
        process.arguments = name.hasPrefix("/") ? arguments : [name] + arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        if let input {
            // A file, as a pipe would hold no more than 64 KiB before somebody reads it.
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
}
