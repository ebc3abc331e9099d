import CFaultyVFS
import Foundation
import GRDBSQLite
import Synchronization
public import TestSupport

/// A disk below SQLite, and below the segments of a journal that are given it, that follows a test's orders: it fails, is full, tears writes, and loses power.
///
/// Everything that SQLite does under a directory passes through here on its way to real files. Beside those the disk keeps
/// the bytes that have *reached* it: a write has only once the file was synced behind it. So a test can ask, at any moment, for the state that
/// would be there after a loss of power. Thread-safe.
public final class FaultyDisk: Sendable {
    public enum Act: Sendable, Equatable, CaseIterable {
        case write, truncate, sync, delete
    }

    /// The fault of one act.
    public enum Fault: Sendable, Equatable {
        case full
        /// Nothing of it happens.
        case inputOutput
        /// A part of a write happens.
        case torn
        /// A write fails and is not seen by reads, and comes to the disk all the same: behind everything written before, and before all
        /// that is written from then on.
        case late
        /// As `inputOutput`; and the bytes that a sync was to bring to the disk never get there, though later ones succeed: the
        /// system takes pages for clean once it has failed to write them.
        case lost
        /// The bytes that a sync was to bring to the disk never get there, and it says that they did.
        case lie
    }

    /// Which of the bytes that were not synced are there after the power came back.
    public enum Survival: Sendable, Equatable {
        case nothing
        case everything
        /// Some writes and not others, some of them in part, whatever their order.
        case some(seed: UInt64)
    }

    enum Change: Sendable {
        case write(offset: Int, bytes: [UInt8])
        case truncate(to: Int)
        /// Durable only where the directory is synced behind it.
        case delete(isSynced: Bool)
    }

    private struct File: Sendable {
        /// nil where the file is not on the disk.
        var durable: [UInt8]?
        var pending: [Change] = []

        mutating func forgetDeleted() {
            guard let last = pending.lastIndex(where: { if case .delete = $0 { true } else { false } }) else { return }
            durable = nil
            pending.removeFirst(last + 1)
        }
    }

    private struct State: Sendable {
        var files: [String: File] = [:]
        var acts: [Act] = []
        /// The name of each act's file.
        var names: [String] = []
        var isOff = false
        var script: @Sendable (Int, Act) -> Fault? = { _, _ in nil }
        var powerFailsBefore: Int?
        /// Reads that still succeed; nil for all.
        var readsLeft: Int?
    }

    private let state = Mutex(State())

    /// Takes over a directory until `detach`. Call before SQLite opens a file there.
    public init(_ directory: ScratchDirectory) {
        _ = Self.registration
        Self.disks.withLock { $0[directory.path] = self }
    }

    public static func detach(_ directory: ScratchDirectory) {
        Self.disks.withLock { _ = $0.removeValue(forKey: directory.path) }
    }

    /// The acts so far.
    public var acts: [Act] { state.withLock { $0.acts } }

    /// The names of the files to which that was done.
    public var names: [String] { state.withLock { $0.names } }

    /// Decides the fault of the act of a number, counted from 0; nil for none.
    public func fail(_ script: @escaping @Sendable (Int, Act) -> Fault?) {
        state.withLock { $0.script = script }
    }

    /// From this act on nothing reaches anything: the power is off. It itself is not carried out, or in part.
    public func losePower(before act: Int) {
        state.withLock { $0.powerFailsBefore = act }
    }

    /// After so many further reads none succeeds, until this is called again; nil for all. Reads are no acts.
    public func failReads(after count: Int?) {
        state.withLock { $0.readsLeft = count }
    }

    /// Whether a read has failed since `failReads`.
    public var hasFailedReads: Bool { state.withLock { $0.readsLeft.map { $0 < 0 } ?? false } }

    /// Runs statements on a connection of their own, as another program on the same disk would.
    public static func execute(_ path: String, _ sql: String) {
        var connection: OpaquePointer?
        defer { sqlite3_close(connection) }
        let result =
            sqlite3_open(path, &connection) == SQLITE_OK
            ? sqlite3_exec(connection, sql, nil, nil, nil) : SQLITE_CANTOPEN
        precondition(result == SQLITE_OK, "\(sql): \(String(cString: sqlite3_errmsg(connection)))")
    }

    public var isOff: Bool { state.withLock { $0.isOff } }

    /// Writes the files that a machine finds when its power is back into another directory.
    public func recover(into directory: ScratchDirectory, _ survival: Survival) throws {
        let files = state.withLock { $0.files }
        for (path, file) in files.sorted(by: { $0.key < $1.key }) {
            var generator = SeededGenerator(seed: 0)
            if case .some(let seed) = survival { generator = SeededGenerator(seed: seed &+ UInt64(path.utf8.count)) }
            var content = file.durable
            for change in file.pending {
                switch survival {
                case .nothing: continue
                case .everything: Self.apply(change, to: &content)
                case .some:
                    switch Int.random(in: 0..<4, using: &generator) {
                    case 0: continue
                    case 1: Self.apply(Self.torn(change, &generator), to: &content)
                    default: Self.apply(change, to: &content)
                    }
                }
            }
            guard let content else { continue }
            let name = URL(fileURLWithPath: path).lastPathComponent
            try Data(content).write(to: URL(fileURLWithPath: "\(directory.path)/\(name)"))
        }
    }

    // MARK: Below SQLite

    func decideRead() -> Int32 {
        state.withLock { state in
            guard let left = state.readsLeft else { return SQLITE_OK }
            state.readsLeft = left > 0 ? left - 1 : -1
            return left > 0 ? SQLITE_OK : ExtendedCode.read
        }
    }

    func decide(_ path: String, _ act: Act, _ change: Change?, _ amount: inout Int64) -> Int32 {
        state.withLock { state in
            if state.isOff { return SQLITE_IOERR }
            let number = state.acts.count
            state.acts.append(act)
            state.names.append(String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]))
            var file = state.files[path] ?? File(durable: nil)
            defer { state.files[path] = file }
            if number == state.powerFailsBefore {
                state.isOff = true
                if let change { file.pending.append(change) }
                return SQLITE_IOERR
            }
            switch state.script(number, act) {
            case nil: break
            case .full where act == .write:
                amount = 0
                return SQLITE_FULL
            case .torn where act == .write:
                amount = amount / 2
                if case .write(let offset, let bytes)? = change {
                    file.pending.append(.write(offset: offset, bytes: Array(bytes[..<Int(amount)])))
                }
                return ExtendedCode.write
            case .late where act == .write:
                amount = 0
                if let change { file.pending.append(change) }
                return ExtendedCode.write
            case .lost where act == .sync:
                file.pending = []
                return ExtendedCode.sync
            case .lie where act == .sync:
                file.pending = []
                if file.durable == nil { file.durable = [] }
                return SQLITE_OK
            case .full, .torn, .inputOutput, .late, .lost, .lie:
                amount = 0
                switch act {
                case .write: return ExtendedCode.write
                case .truncate: return ExtendedCode.truncate
                case .sync: return ExtendedCode.sync
                case .delete: return ExtendedCode.delete
                }
            }
            if case .delete(isSynced: true)? = change {
                file = File(durable: nil)
            } else if let change {
                file.pending.append(change)
            } else {
                // A file's first sync is one of its directory as well: files deleted before are gone for good.
                if file.durable == nil { for path in state.files.keys { state.files[path]?.forgetDeleted() } }
                var content = file.durable
                for change in file.pending { Self.apply(change, to: &content) }
                file = File(durable: content ?? [])
            }
            return SQLITE_OK
        }
    }

    private static func apply(_ change: Change, to content: inout [UInt8]?) {
        switch change {
        case .delete: content = nil
        case .truncate(let length):
            content = Array((content ?? []).prefix(length))
        case .write(let offset, let bytes):
            var whole = content ?? []
            if whole.count < offset + bytes.count {
                whole += [UInt8](repeating: 0, count: offset + bytes.count - whole.count)
            }
            whole.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            content = whole
        }
    }

    /// Its first sectors.
    private static func torn(_ change: Change, _ generator: inout SeededGenerator) -> Change {
        guard case .write(let offset, let bytes) = change else { return change }
        let length = min(bytes.count, Int.random(in: 0...bytes.count / 512, using: &generator) * 512)
        return .write(offset: offset, bytes: Array(bytes[..<length]))
    }

    // MARK: The process' disks

    private static let disks = Mutex<[String: FaultyDisk]>([:])

    private static func disk(of path: String) -> FaultyDisk? {
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        return disks.withLock { $0[directory] }
    }

    private static let registration: Void = {
        let result = faulty_vfs_register(
            { path in
                guard let path, let disk = disk(of: String(cString: path)) else { return nil }
                // Not retained: a test keeps its disk for as long as it is attached.
                return Unmanaged.passUnretained(disk).toOpaque()
            },
            { disk, path, act, bytes, offset, amount in
                guard let opaque = disk, let name = path, let amount else { return SQLITE_OK }
                let disk = Unmanaged<FaultyDisk>.fromOpaque(opaque).takeUnretainedValue()
                let path = String(cString: name)
                switch act {
                case FAULTY_READ: return disk.decideRead()
                case FAULTY_WRITE:
                    let bytes = Array(UnsafeRawBufferPointer(start: bytes, count: Int(amount.pointee)))
                    return disk.decide(path, .write, .write(offset: Int(offset), bytes: bytes), &amount.pointee)
                case FAULTY_TRUNCATE:
                    return disk.decide(path, .truncate, .truncate(to: Int(amount.pointee)), &amount.pointee)
                case FAULTY_DELETE: return disk.decide(path, .delete, .delete(isSynced: offset != 0), &amount.pointee)
                default: return disk.decide(path, .sync, nil, &amount.pointee)
                }
            })
        precondition(result == SQLITE_OK, "SQLite takes no file system")
    }()
}

/// SQLite's extended codes of I/O errors, whose macros Swift can't read.
private enum ExtendedCode {
    static let read = SQLITE_IOERR | 1 << 8
    static let write = SQLITE_IOERR | 3 << 8
    static let sync = SQLITE_IOERR | 4 << 8
    static let truncate = SQLITE_IOERR | 6 << 8
    static let delete = SQLITE_IOERR | 10 << 8
}
