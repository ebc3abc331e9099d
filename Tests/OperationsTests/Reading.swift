import Foundation
import ServerSupport
import TandemAPI
import TestSupport

/// A program whose lines are read as they come.
final class Reading {
    private let process = Process()
    private let output: LineReader

    init(_ command: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let pipe = Pipe()
        process.standardOutput = pipe
        output = LineReader(pipe.fileHandleForReading)
        try Children.start(process)
    }

    /// `curl -N`.
    static func curl(_ port: Int, _ path: String, _ arguments: [String] = []) throws -> Reading {
        let certificates = Certificates.shared
        return try Reading(
            ["curl", "-sSN", "--http1.1", "--max-time", "60", "--cacert", certificates.ca]
                + ["--cert", certificates.certificate("admin"), "--key", certificates.key("admin")]
                + arguments + ["https://127.0.0.1:\(port)\(path)"])
    }

    static func ctl(_ port: Int, _ arguments: [String]) throws -> Reading {
        let certificates = Certificates.shared
        return try Reading(
            [ServerProcess.program("tandemctl")] + arguments
                + ["--server", "127.0.0.1:\(port)", "--ca-file", certificates.ca]
                + ["--cert-file", certificates.certificate("admin"), "--key-file", certificates.key("admin")])
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    func line() -> String? { output.next() }
    func events() -> JSONValue? { line().flatMap { try? JSONValue(parsing: $0) } }

    var status: Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }
}
