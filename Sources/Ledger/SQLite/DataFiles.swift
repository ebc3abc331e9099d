import Foundation
import Glibc

/// The files of a data directory: their names, and that they are their owner's alone. Calls block.
///
/// Nothing here opens a database: to close any descriptor of one would end the locks that SQLite holds on it in this process.
struct DataFiles: Sendable {
    let directory: String

    var database: String { "\(directory)/tandem.db" }
    var log: String { Self.real(database) + "-wal" }
    var lock: String { "\(directory)/tandem.lock" }
    /// The file of a restore before it becomes the database.
    var restoring: String { database + ".restoring" }

    /// The name of a segment of the journal.
    static func segment(_ number: Int64, _ epoch: Epoch) -> String { "\(segmentPrefix)\(epoch.name)-\(number)" }

    /// Where it lies.
    func segment(_ number: Int64, _ epoch: Epoch) -> String { "\(directory)/\(Self.segment(number, epoch))" }

    private static let segmentPrefix = "tandem.journal-"

    /// The names of all segments that lie there, whosever they are, in their order.
    func segments() -> [String] { names().filter { $0.hasPrefix(Self.segmentPrefix) }.sorted() }

    /// Where a copy of the database is made: one name for each.
    func newCopy() -> String { "\(directory)/\(Self.copyPrefix)\(UInt64.random(in: .min ... .max))" }

    private static let copyPrefix = "tandem.db.unfinished-"

    /// A path without symbolic links, where something lies at it; else the path itself. SQLite puts a database's other files
    /// beside the one that a link names. Some system calls.
    static func real(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Makes an empty file that only its owner may read; an existing file is left as it is.
    static func make(_ path: String) throws(LedgerError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 || errno == EEXIST else { throw .system(.unwritable, "\(path) can't be made", errno) }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Removes other users' access that earlier versions, or a copy made by hand, allowed. Where the file system or
    /// the file's owner does not allow that, the file stays as it is.
    func narrow() {
        let real = Self.real(database)
        let segments = segments().map { "\(directory)/\($0)" }
        for path in [real, real + "-wal", real + "-shm", real + "-journal", lock] + segments {
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & 0o177 != 0 else { continue }
            chmod(path, 0o600)
        }
    }

    /// Removes the copies that a process left unfinished when it was killed. Only for the directory's holder: no other process
    /// makes copies here any more.
    func removeUnfinished() {
        // Among them a directory in which a restore was at work.
        for name in names() where isUnfinished(name) {
            try? FileManager.default.removeItem(atPath: "\(directory)/\(name)")
        }
    }

    private func names() -> [String] {
        guard let listing = opendir(directory) else { return [] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            // Proof: the name ends with a zero byte inside the entry, which is there until the next call.
            names.append(withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) })
        }
        return names
    }

    /// Whether it is a name that this program gives to a copy, and no other: an administrator's files have similar ones.
    private func isUnfinished(_ name: String) -> Bool {
        let name = name.hasSuffix("-journal") ? name.dropLast("-journal".count) : name[...]
        if "\(directory)/\(name)" == restoring { return true }
        return UInt64(name.dropFirst(Self.copyPrefix.count)).map { name == "\(Self.copyPrefix)\($0)" } ?? false
    }
}

/// An open file that must stay at its path for as long as it is open.
///
/// The inode of an open file is not given to another, so that a file that was moved away, deleted or replaced is always
/// told apart from the one that was opened.
struct OpenFile: Sendable, Equatable {
    let path: String
    private let device: dev_t
    private let inode: ino_t

    /// The file at the path now; nil for none. Throws where the system can't tell. One system call.
    init?(_ path: String, _ outcome: LedgerError.Outcome = .notCommitted) throws(LedgerError) {
        var status = stat()
        if stat(path, &status) != 0 {
            let reason = errno
            if reason == ENOENT || reason == ENOTDIR { return nil }
            throw .system(.inputOutput, "\(path) can't be looked at", reason, outcome)
        }
        self.path = path
        device = status.st_dev
        inode = status.st_ino
    }

    /// The files at these paths now. Throws where one is missing, or the system can't tell.
    static func lying(at paths: [String]) throws(LedgerError) -> [OpenFile] {
        var files: [OpenFile] = []
        for path in paths {
            guard let file = try OpenFile(path) else { throw .moved(path, .notCommitted) }
            files.append(file)
        }
        return files
    }

    /// Throws where one of them is not at its path any more, and another error where the system can't tell. A system call
    /// for each.
    static func check(_ files: [OpenFile], _ outcome: LedgerError.Outcome) throws(LedgerError) {
        for file in files where try OpenFile(file.path, outcome) != file { throw .moved(file.path, outcome) }
    }

    /// Whether anything lies at a path that can be looked at.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
    }

    /// The length of the file at a path; 0 for none.
    static func bytes(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}

extension LedgerError {
    /// A file of the database is not at its path any more.
    fileprivate static func moved(_ path: String, _ outcome: Outcome) -> LedgerError {
        LedgerError(
            .moved,
            "\(path) was moved away, deleted or replaced while the server had it open: nothing is acknowledged into it any "
                + "more; put the old file back, or give an empty directory and start with --restore FILE",
            outcome: outcome)
    }
}
