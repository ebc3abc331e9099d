import Glibc

/// A user's name, and the file with the password, as Kubernetes mounts a secret. A line break at the file's end is not part of it.
struct Credentials: Sendable {
    let username: String
    let passwordFile: String

    private static let maximumBytes = 4_096

    /// Blocks.
    func read() throws(EtcdConfigurationError) -> AuthenticateRequest {
        AuthenticateRequest(
            name: username, password: try Self.text(of: passwordFile, .passwordFile))
    }

    private static func text(
        of file: String, _ flag: EtcdConfigurationError.Flag
    ) throws(EtcdConfigurationError) -> String {
        guard let handle = fopen(file, "re") else {
            throw EtcdConfigurationError(flag, "can't read \(file): \(String(cString: strerror(errno)))")
        }
        defer { fclose(handle) }
        var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, handle))
        guard bytes.count <= maximumBytes else {
            throw EtcdConfigurationError(flag, "\(file) has more than \(maximumBytes) bytes")
        }
        while bytes.last == UInt8(ascii: "\n") || bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.isEmpty else { throw EtcdConfigurationError(flag, "\(file) is empty") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
