import Foundation

/// Another program with a transaction open on a database, until it lets go.
public final class DatabaseHolder {
    public struct NotHeld: Error {}

    /// The lock that it holds.
    public enum Hold: String {
        /// The log can't be copied whole.
        case reading = "BEGIN; SELECT count(*) FROM journal"
        /// No other connection can write.
        case writing = "BEGIN IMMEDIATE; PRAGMA user_version = 1"
        /// No other connection can even read.
        case everything = "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; PRAGMA user_version = 1"
    }

    private let process = Process()
    private let input = Pipe()

    /// Returns once it holds the database.
    public init(_ file: String, _ hold: Hold = .writing) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c",
            """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1], isolation_level=None)
            db.executescript('\(hold.rawValue)')
            print('held', flush=True)
            sys.stdin.read()
            """, file,
        ]
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try Children.start(process)
        guard LineReader(output.fileHandleForReading).next() == "held" else { throw NotHeld() }
    }

    deinit { letGo() }

    public func letGo() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
