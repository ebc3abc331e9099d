import Foundation
import GRDBSQLite
public import Ledger

/// The same disk under the segments of a journal: each write of them is a write and a sync.
extension FaultyDisk: SegmentDisk {
    public func make(_ path: String, bytes: Int) throws(LedgerError) -> any SegmentFile {
        let zeros = [UInt8](repeating: 0, count: bytes)
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        precondition(descriptor >= 0 && ftruncate(descriptor, off_t(bytes)) == 0)
        close(descriptor)
        var amount = Int64(bytes)
        do throws(LedgerError) {
            try check(path, decide(path, .write, .write(offset: 0, bytes: zeros), &amount))
            try check(path, decide(path, .sync, nil, &amount))
        } catch {
            if !isOff { unlink(path) }
            throw error
        }
        return try open(path)
    }

    public func open(_ path: String) throws(LedgerError) -> any SegmentFile { File(path, self) }

    public func remove(_ paths: [String]) throws(LedgerError) {
        for path in paths {
            var amount: Int64 = 0
            try check(path, decide(path, .delete, .delete(isSynced: true), &amount))
            unlink(path)
        }
    }

    private func check(_ path: String, _ code: Int32) throws(LedgerError) {
        if code != SQLITE_OK { throw .disk(path, code == SQLITE_FULL ? ENOSPC : EIO) }
    }

    private final class File: SegmentFile {
        let bytes: Int
        private let path: String
        private let descriptor: Int32
        private let disk: FaultyDisk

        init(_ path: String, _ disk: FaultyDisk) {
            self.path = path
            self.disk = disk
            descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
            bytes = max(0, Int(lseek(descriptor, 0, SEEK_END)))
        }

        deinit { close(descriptor) }

        func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LedgerError) {
            var amount = Int64(bytes.count)
            let change = Change.write(offset: offset, bytes: Array(bytes))
            let code = disk.decide(path, .write, change, &amount)
            if code == SQLITE_OK || amount > 0 && amount < bytes.count {
                precondition(pwrite(descriptor, bytes.baseAddress, Int(amount), off_t(offset)) == Int(amount))
            }
            try disk.check(path, code)
            try disk.check(path, disk.decide(path, .sync, nil, &amount))
        }

        func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(LedgerError) {
            try disk.check(path, disk.decideRead())
            guard pread(descriptor, bytes.baseAddress, bytes.count, off_t(offset)) == bytes.count else {
                throw .disk(path, EIO)
            }
        }
    }
}
