import Foundation
import TestSupport

/// Another program with a transaction open on a database: nobody else can write there until it lets go.
public final class DatabaseHolder {
    public struct NotHeld: Error {}

    private let process = Process()
    private let input = Pipe()

    /// Returns once it holds the database; with `EXCLUSIVE` so that nobody else can even read.
    public init(_ file: String, _ kind: String = "IMMEDIATE") throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let mode = kind == "EXCLUSIVE" ? "PRAGMA locking_mode=EXCLUSIVE;" : ""
        process.arguments = [
            "python3", "-c",
            """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1], isolation_level=None)
            db.executescript('\(mode) BEGIN \(kind); PRAGMA user_version = 1')
            print('held', flush=True)
            sys.stdin.read()
            """, file,
        ]
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        guard LineReader(output.fileHandleForReading).next() == "held" else { throw NotHeld() }
    }

    deinit { letGo() }

    public func letGo() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
