import Foundation
import Glibc

/// Bytes under a name that OpenSSL can open, and that no disk has ever seen: such as a key in a kubeconfig.
final class MemoryFile {
    private let descriptor: Int32

    init(_ bytes: [UInt8]) throws(KubeConfigurationError) {
        let name = "/tandem-\(UUID().uuidString)"
        descriptor = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw KubeConfigurationError("no memory can be shared (/dev/shm): \(String(cString: strerror(errno)))")
        }
        shm_unlink(name)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                throw KubeConfigurationError("/dev/shm can't be written: \(String(cString: strerror(errno)))")
            }
            rest = rest.dropFirst(count)
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    var path: String { "/proc/self/fd/\(descriptor)" }
}
