import Glibc
import IPAM
import Ledger
import NIOCore
import NIOPosix
import Synchronization

/// `GET /backup`: a copy of the database, made beside it, or of the state in etcd, made where temporary files are; sent piece by piece.
///
/// Threads of the pool wait for the disk, never the event loop; a piece is read when the one before is on its way, so
/// that a slow reader holds no memory. The copy loses its name as soon as it is open; one that a crash left unfinished goes
/// with the next start.
struct BackupStream: Sendable {
    private static let pieceBytes = 256 << 10

    /// Where copies are made.
    private let directory: String
    private let threads: NIOThreadPool
    private let write: @Sendable (_ file: String) throws -> Void
    private let underWay = UnderWay()

    private final class UnderWay: Sendable {
        // Relaxed: a count that orders nothing.
        let count = Atomic<Int>(0)
    }

    /// Whether there are descriptors for one more; then `end` is due once it is sent or has failed.
    func begin() -> Bool {
        if underWay.count.wrappingAdd(1, ordering: .relaxed).newValue <= OpenFiles.backups { return true }
        end()
        return false
    }

    func end() { underWay.count.wrappingSubtract(1, ordering: .relaxed) }

    /// `write` makes a copy of the state committed by now in a new file of the directory. It may block.
    init(
        directory: String, threads: NIOThreadPool = .singleton,
        write: @escaping @Sendable (_ file: String) throws -> Void
    ) {
        self.directory = directory
        self.threads = threads
        self.write = write
    }

    /// Of the log of a server.
    init(_ engine: Engine, _ storage: StorageChoice, _ log: any BackedUpLog) {
        self.init(directory: storage.scratchDirectory) { file in
            try engine.fence()
            try log.backUp(to: file)
        }
    }

    /// An open copy; closed with its last reference.
    final class Copy: Sendable {
        let bytes: Int
        fileprivate let descriptor: Int32

        fileprivate init(_ descriptor: Int32, bytes: Int) {
            self.descriptor = descriptor
            self.bytes = bytes
        }

        deinit { close(descriptor) }
    }

    /// Makes a copy of the state committed by now. Fails with `LedgerError`.
    func copy(on eventLoop: any EventLoop) -> EventLoopFuture<Copy> {
        let (directory, threads, write) = (directory, threads, write)
        return threads.runIfActive(eventLoop: eventLoop) {
            let file = Backup.temporaryFile(directory: directory)
            defer { unlink(file) }
            try write(file)
            let descriptor = open(file, O_RDONLY | O_CLOEXEC)
            let bytes = lseek(descriptor, 0, SEEK_END)
            guard descriptor >= 0, bytes >= 0 else {
                throw LedgerError(.inputOutput, "\(file): \(String(cString: strerror(errno)))")
            }
            return Copy(descriptor, bytes: Int(bytes))
        }
    }

    /// Hands the copy over, each piece when the future of the one before is done.
    func send(
        _ copy: Copy, from offset: Int = 0, on eventLoop: any EventLoop,
        _ send: @escaping @Sendable (ByteBuffer) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<Void> {
        guard offset < copy.bytes else { return eventLoop.makeSucceededVoidFuture() }
        return threads.runIfActive(eventLoop: eventLoop) { try Self.piece(of: copy, at: offset) }
            .flatMap { piece in
                let next = offset + piece.readableBytes
                return send(piece).flatMap { self.send(copy, from: next, on: eventLoop, send) }
            }
    }

    private static func piece(of copy: Copy, at offset: Int) throws -> ByteBuffer {
        var piece = ByteBufferAllocator().buffer(capacity: pieceBytes)
        let count = piece.writeWithUnsafeMutableBytes(minimumWritableBytes: pieceBytes) { bytes in
            max(0, pread(copy.descriptor, bytes.baseAddress, min(bytes.count, copy.bytes - offset), off_t(offset)))
        }
        guard count > 0 else { throw LedgerError(.inputOutput, "a backup can't be read back") }
        return piece
    }
}
