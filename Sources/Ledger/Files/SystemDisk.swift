import CDurableWrite
import Glibc
import Synchronization

/// The system's files, written past its pages where the file system has that.
public struct SystemDisk: SegmentDisk {
    private static let zeros = 1 << 20

    public init() {}

    public func make(_ path: String, bytes: Int) throws(LedgerError) -> any SegmentFile {
        do throws(LedgerError) {
            let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw .disk(path, errno) }
            defer { close(descriptor) }
            // All of the room is there, or nothing of it is taken.
            let reason = posix_fallocate(descriptor, 0, off_t(bytes))
            guard reason == 0 else { throw .disk(path, reason) }
        } catch {
            unlink(path)
            throw error
        }
        do throws(LedgerError) {
            let file = try SystemSegment(path)
            // Written, not only reserved: to write over it later changes nothing but the data.
            try AlignedMemory().lend(min(Self.zeros, bytes)) { memory throws(LedgerError) in
                memory.initializeMemory(as: UInt8.self, repeating: 0)
                for offset in stride(from: 0, to: bytes, by: memory.count) {
                    let piece = UnsafeRawBufferPointer(rebasing: memory[..<min(memory.count, bytes - offset)])
                    try file.put(piece, at: offset)
                }
            }
            try file.sync()
            try Self.syncDirectory(of: path)
            return file
        } catch {
            unlink(path)
            throw error
        }
    }

    public func open(_ path: String) throws(LedgerError) -> any SegmentFile { try SystemSegment(path) }

    public func remove(_ paths: [String]) throws(LedgerError) {
        for path in paths where unlink(path) != 0 && errno != ENOENT {
            throw .system(.inputOutput, "\(path) can't be removed", errno)
        }
        if let path = paths.first { try Self.syncDirectory(of: path) }
    }

    private static func syncDirectory(of path: String) throws(LedgerError) {
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        let descriptor = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(.inputOutput, "\(directory) can't be opened", errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system(.inputOutput, "\(directory) can't be written", errno) }
    }
}

private final class SystemSegment: SegmentFile {
    let bytes: Int
    private let path: String
    private let descriptor: Int32
    // Relaxed: it only ever becomes true, and either way of writing is right.
    private let lacksDurableWrites: Atomic<Bool>

    init(_ path: String) throws(LedgerError) {
        var descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC | tandem_o_direct())
        var isDirect = descriptor >= 0
        // A file system may take the flag and then no read: tmpfs takes neither.
        if isDirect, !Self.canRead(descriptor) {
            close(descriptor)
            isDirect = false
        }
        if !isDirect { descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC) }
        guard descriptor >= 0 else { throw .disk(path, errno) }
        self.path = path
        self.descriptor = descriptor
        bytes = max(0, Int(lseek(descriptor, 0, SEEK_END)))
        // Through the system's pages a write and a sync behind it are one and the same.
        lacksDurableWrites = Atomic(!isDirect)
    }

    deinit { close(descriptor) }

    private static func canRead(_ descriptor: Int32) -> Bool {
        (try? AlignedMemory().lend(GroupCoding.block) { memory throws(LedgerError) in
            pread(descriptor, memory.baseAddress, memory.count, 0) >= 0
        }) ?? false
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LedgerError) {
        if !lacksDurableWrites.load(ordering: .relaxed) {
            let count = tandem_write_durably(descriptor, bytes.baseAddress, bytes.count, off_t(offset))
            if count == bytes.count { return }
            guard count >= 0 || [EINTR, EOPNOTSUPP, ENOSYS].contains(errno) else { throw .disk(path, errno) }
            if count < 0, errno != EINTR { lacksDurableWrites.store(true, ordering: .relaxed) }
        }
        try put(bytes, at: offset)
        try sync()
    }

    func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LedgerError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
            guard count > 0 || count < 0 && errno == EINTR else { throw .disk(path, count == 0 ? ENOSPC : errno) }
            done += max(0, count)
        }
    }

    func sync() throws(LedgerError) {
        guard fdatasync(descriptor) == 0 else { throw .disk(path, errno) }
    }

    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(LedgerError) {
        var done = 0
        while done < bytes.count {
            let count = pread(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw .system(.inputOutput, "\(path) can't be read", count == 0 ? EIO : errno, .unknown)
            }
            done += count
        }
    }
}

extension LedgerError {
    /// A segment that can't be written: whether the written bytes are there is not known.
    public static func disk(_ path: String, _ reason: Int32) -> LedgerError {
        switch reason {
        case ENOSPC, EDQUOT: LedgerError(.full, "\(path): the disk is full; make room on it", outcome: .unknown)
        case EROFS, EACCES, EPERM: .system(.unwritable, "\(path) can't be written", reason, .unknown)
        default: .system(.inputOutput, "\(path) can't be written", reason, .unknown)
        }
    }
}
