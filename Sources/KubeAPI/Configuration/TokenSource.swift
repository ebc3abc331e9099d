import Foundation
import NIOPosix
import Synchronization

/// The bearer token: none, a fixed one, or the current content of a file. Thread-safe.
final class TokenSource: Sendable {
    enum Kind: Sendable, Hashable {
        case none
        case fixed(String)
        case file(String)
    }

    let kind: Kind
    /// The file's content when it was last read, and that time.
    private let last = Mutex<(token: String, at: Duration)?>(nil)

    /// A token in a pod lives for an hour, and is replaced long before.
    static let maximumAge = Duration.seconds(60)
    /// Tokens of service accounts have some 1,000 bytes.
    private static let maximumBytes = 64 << 10

    init(_ kind: Kind) { self.kind = kind }

    /// The one to send now. A file is read again after a minute; where it can't be read, the old token is used on.
    func token(now: Duration) async throws(KubeError) -> String? {
        guard case .file = kind else {
            if case .fixed(let token) = kind { return token }
            return nil
        }
        let last = last.withLock { $0 }
        if let last, now - last.at < Self.maximumAge { return last.token }
        do {
            let token = try await NIOThreadPool.singleton.runIfActive { try self.read() } ?? ""
            self.last.withLock { $0 = (token, now) }
            return token
        } catch {
            guard let last else { throw KubeError(.credentials, "\(error)") }
            return last.token
        }
    }

    /// The server refused it: the file is read again the next time. False where that can't help.
    func refused(_ token: String?) -> Bool {
        guard case .file = kind else { return false }
        return last.withLock { last in
            if last?.token == token { last = nil }
            return true
        }
    }

    /// Blocks.
    func read() throws(KubeConfigurationError) -> String? {
        guard case .file(let path) = kind else { return nil }
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw KubeConfigurationError("can't read \(path): \(String(cString: strerror(errno)))")
        }
        defer { try? file.close() }
        let bytes = (try? file.read(upToCount: Self.maximumBytes)) ?? Data()
        let token = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard Self.isToken(token) else { throw KubeConfigurationError("\(path) has no token") }
        return token
    }

    /// Whether a header can have it.
    static func isToken(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
}
