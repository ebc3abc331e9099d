import Glibc

/// Files of which the whole text is wanted, and the system's own words where one can't be had.
public enum PlainFile {
    public struct Fault: Error, CustomStringConvertible {
        /// Such as "No such file or directory".
        public let description: String

        init(errno code: Int32) { description = String(cString: strerror(code)) }
    }

    /// Blocks. `-` is standard input.
    public static func read(_ path: String) throws(Fault) -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Fault(errno: errno) }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var bytes: [UInt8] = []
        while true {
            var failure: Int32 = 0
            let part = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                let read = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                count = max(0, read)
                failure = read < 0 ? errno : 0
            }
            if failure == EINTR { continue }
            guard failure == 0 else { throw Fault(errno: failure) }
            if part.isEmpty { return bytes }
            bytes += part
        }
    }

    /// Puts a whole file in the place of one that may be there, for its user alone; its directory is made if need be. Blocks.
    public static func replace(_ path: String, with text: String) throws(Fault) {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        if !folder.isEmpty, mkdir(folder, 0o700) < 0, errno != EEXIST { throw Fault(errno: errno) }
        let new = "\(path).\(getpid())"
        let descriptor = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Fault(errno: errno) }
        var text = text
        let isWritten = text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let written = write(descriptor, rest.baseAddress, rest.count)
                if written < 0 && errno == EINTR { continue }
                guard written > 0 else { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
            }
            return true
        }
        var failure = isWritten ? 0 : errno
        close(descriptor)
        if failure == 0, rename(new, path) < 0 { failure = errno }
        guard failure == 0 else {
            unlink(new)
            throw Fault(errno: failure)
        }
    }
}
