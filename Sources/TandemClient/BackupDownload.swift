import Foundation
import NIOCore
import NIOHTTP1

/// Fetches a copy of the database of the first server that can be reached: a file, and so over HTTP/1.1.
public enum BackupDownload {
    /// Writes the copy into a file that is not there yet; nothing is left of one that was cut off. Returns its size in
    /// bytes. Throws `ClientError`, or `BackupRefused`.
    public static func run(_ configuration: ClientConfiguration, to file: String) async throws -> Int {
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BackupRefused("\(file) can't be made: \(String(cString: strerror(errno)))") }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            let bytes = try await fetch(configuration, into: handle)
            try handle.synchronize()
            return bytes
        } catch {
            unlink(file)
            throw error
        }
    }

    private static func fetch(_ configuration: ClientConfiguration, into file: FileHandle) async throws -> Int {
        // An interrupted copy is not continued elsewhere: it is one server's.
        let (server, parts) = try await configuration.first { server in
            (server, try await HTTPConnection.open(server, configuration))
        }
        return try await parts.executeThenClose { inbound, outbound in
            try await outbound.write(.head(HTTPConnection.request(server, "/backup")))
            try await outbound.write(.end(nil))
            var (written, announced, status) = (0, 0, HTTPResponseStatus.ok)
            var complaint = ""
            for try await part in inbound {
                switch part {
                case .head(let answer):
                    status = answer.status
                    announced = answer.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
                case .body(let bytes) where status == .ok:
                    written += bytes.readableBytes
                    try file.write(contentsOf: Data(bytes.readableBytesView))
                case .body(let bytes): complaint += String(buffer: bytes)
                case .end:
                    guard status == .ok else { throw BackupRefused(complaint.trimmingCharacters(in: .newlines)) }
                    return written
                }
            }
            throw ClientError.connectionLost("\(written) of \(announced) bytes came")
        }
    }
}

/// Why there is no backup: the server's words, or the file's.
public struct BackupRefused: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
