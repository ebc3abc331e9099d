import Foundation
import Logging
import Measures
import Synchronization
import TestSupport
import Testing

@testable import TandemServer

@Suite("The file of the audit log")
struct AuditFileTests {
    private let directory = ScratchDirectory()
    private let clock = Clock()
    private let words = Noted<String>()

    private final class Clock: Sendable {
        let seconds = Atomic<UInt64>(1)
        var now: Moment { Moment(nanoseconds: seconds.load(ordering: .relaxed) * 1_000_000_000) }
        func pass(_ more: UInt64) { seconds.wrappingAdd(more, ordering: .relaxed) }
    }

    private struct Words: LogHandler {
        let words: Noted<String>
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { words.add("\(event.message)") }
    }

    /// Of 40 bytes, which is four lines.
    private func file(_ path: String, bytes: Int = 40, backups: Int = 3) throws -> AuditFile {
        let (words, clock) = (words, clock)
        return AuditFile(
            try RotatingFile(path, maximumBytes: bytes, backups: backups),
            Logger(label: "test") { _ in Words(words: words) }, now: { clock.now })
    }

    /// Ten bytes each.
    private func append(_ numbers: ClosedRange<Int>, to file: AuditFile) {
        for number in numbers { file.append([Array("line \(1_000 + number)\n".utf8)]) }
    }

    private func numbers(_ path: String) -> [Int]? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: "\n").compactMap {
            Int($0.dropFirst(5)).map { $0 - 1_000 }
        }
    }

    /// The kept files from the oldest on, and the current one.
    private func all(_ path: String, backups: Int = 3) -> [Int] {
        (1...backups).reversed().flatMap { numbers("\(path).\($0)") ?? [] } + (numbers(path) ?? [])
    }

    @Test("past its size it moves on, and the oldest goes; with none that is kept it begins anew", arguments: [3, 0])
    func rotates(_ backups: Int) throws {
        let path = "\(directory.path)/audit"
        let file = try file(path, backups: backups)
        append(1...18, to: file)
        #expect(numbers(path) == [17, 18])
        for kept in 1...3 {
            let first = 17 - 4 * kept
            #expect(numbers("\(path).\(kept)") == (backups == 0 ? nil : Array(first..<first + 4)))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).count == 1 + backups)
        #expect(file.losses == AuditFile.Losses())
    }

    @Test("where the next file can't be opened the one that is there is written on, and kept ones stay")
    func keepsFiles() throws {
        // The name of the next one would be too long for the file system; those of kept ones are not.
        let path = "\(directory.path)/\(String(repeating: "a", count: 253))"
        for number in 1...3 {
            try "line \(number)\n".write(toFile: "\(path).\(number)", atomically: false, encoding: .utf8)
        }
        let file = try file(path)
        append(1...50, to: file)
        #expect(numbers(path) == Array(1...50))
        for number in 1...3 { #expect(numbers("\(path).\(number)") == [number - 1_000]) }
        // One attempt, and one word, every ten seconds.
        #expect(file.losses.errors == 1 && words.all.count == 1)
        clock.pass(9)
        append(51...60, to: file)
        #expect(file.losses.errors == 1)
        clock.pass(1)
        append(61...70, to: file)
        #expect(file.losses.errors == 2 && words.all.count == 2)
        #expect(numbers(path) == Array(1...70) && file.losses.entries == 0)
    }

    @Test("where a kept file can't be moved nothing goes, however often it is tried; once it can, all goes on")
    func losesNothingMidway() throws {
        let path = "\(directory.path)/audit"
        let file = try file(path, backups: 4)
        append(1...17, to: file)
        // A directory that is not empty takes the place of no file, and gives its own to none.
        let wall = "\(path).4"
        try FileManager.default.removeItem(atPath: wall)
        try FileManager.default.createDirectory(atPath: "\(wall)/x", withIntermediateDirectories: true)
        for _ in 0..<5 {
            append(1...1, to: file)
            clock.pass(10)
        }
        let kept = (1...3).reversed().flatMap { numbers("\(path).\($0)") ?? [] }
        #expect(kept == Array(5...16) && numbers(path) == [17, 1, 1, 1, 1, 1])
        #expect(!FileManager.default.fileExists(atPath: "\(path).new"))
        try FileManager.default.removeItem(atPath: wall)
        clock.pass(10)
        append(18...18, to: file)
        #expect(all(path, backups: 4) == Array(5...17) + [1, 1, 1, 1, 1, 18] && numbers(path) == [18])
    }

    @Test("the rest of an attempt that was killed is no obstacle")
    func survivesKills() throws {
        let path = "\(directory.path)/audit"
        try "half of an attempt".write(toFile: "\(path).new", atomically: false, encoding: .utf8)
        append(1...5, to: try file(path))
        #expect(numbers(path) == [5] && numbers("\(path).1") == [1, 2, 3, 4])
    }

    @Test("a file that was moved or deleted is begun anew with the next line", arguments: [true, false])
    func followsFile(_ isMoved: Bool) throws {
        let path = "\(directory.path)/audit"
        let file = try file(path)
        append(1...2, to: file)
        if isMoved { rename(path, "\(path).old") } else { unlink(path) }
        append(3...3, to: file)
        #expect(numbers(path) == [3] && numbers("\(path).old") == (isMoved ? [1, 2] : nil))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test("a file that was cut in its place is written on from there, and has its whole size again")
    func followsLength() throws {
        let path = "\(directory.path)/audit"
        let file = try file(path)
        append(1...3, to: file)
        truncate(path, 0)
        append(4...7, to: file)
        #expect(numbers(path) == [4, 5, 6, 7] && numbers("\(path).1") == nil)
    }

    @Test("lines that can't be written, or never came, are counted, and the next one written says how many are missing")
    func tellsOfMissing() throws {
        let path = "\(directory.path)/audit"
        symlink("/dev/full", path)
        let file = try file(path, bytes: 1_000)
        append(1...20, to: file)
        for _ in 0..<5 { file.noteDropped() }
        #expect(file.losses == AuditFile.Losses(dropped: 5, unwritten: 20, errors: 20))
        #expect(words.all.count == 1)
        unlink(path)
        append(21...22, to: file)
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.first?.contains(#""missing":25}"#) == true && numbers("\(path).1") == nil)
        #expect(lines.dropFirst() == ["line 1021", "line 1022"])
        #expect(words.all.last == "entries are missing in the audit log")
        file.noteDropped()
        append(23...23, to: file)
        #expect(try String(contentsOfFile: path, encoding: .utf8).contains(#""missing":1}"#))
    }

    @Test("a pipe is no file: it is neither moved aside nor narrowed")
    func leavesPipes() throws {
        let path = "\(directory.path)/pipe"
        mkfifo(path, 0o622)
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        append(1...20, to: try file(path))
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["pipe"])
        var bytes = [UInt8](repeating: 0, count: 1_000)
        #expect(read(reader, &bytes, bytes.count) == 200)
    }
}
