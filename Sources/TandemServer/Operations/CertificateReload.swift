import Glibc
import Logging
import OpenSSLTLS
import Synchronization
import UnixSignals

/// The server's keys, certificates, authorities and revocation lists: read again on SIGHUP, and when one of their files
/// changes. Connections that are open stay; new ones get what is new, and no session of before is taken up again. Files that
/// can't be used change nothing, and are said to be so. Thread-safe.
final class CertificateReload: Sendable {
    private let configuration: TLSServerConfiguration
    private let logger: Logger
    private let current: Mutex<TLSContext>

    /// How often the files are looked at.
    private static let interval = Duration.seconds(1)

    /// `context` is what the files hold now.
    init(_ configuration: TLSServerConfiguration, _ context: TLSContext, _ logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        current = Mutex(context)
        warn(of: context)
    }

    /// For the next connection.
    var context: TLSContext { current.withLock { $0 } }

    /// Until the task is cancelled. Files are read on its thread, never on an event loop's.
    func run(_ hangups: UnixSignalsSequence) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                for await _ in hangups { self.reload("SIGHUP") }
            }
            tasks.addTask { await self.watch() }
        }
    }

    private func watch() async {
        var seen = states
        while (try? await Task.sleep(for: Self.interval)) != nil {
            let now = states
            guard now != seen else { continue }
            seen = now
            reload("a file changed")
        }
    }

    private func reload(_ cause: String) {
        do throws(TLSError) {
            let context = try TLSContext(server: configuration)
            current.withLock { $0 = context }
            logger.notice("certificates are read again", metadata: ["cause": "\(cause)"])
            warn(of: context)
        } catch {
            logger.error(
                "certificates can't be read again; those of before stay in use",
                metadata: ["cause": "\(cause)", "error": "\(error.message)"])
        }
    }

    /// Seconds until the server's certificate ends; below 0 where it has.
    var secondsLeft: Int64 { context.ownCertificate.map { $0.validity.upperBound - Timestamp.seconds } ?? 0 }

    private func warn(of context: TLSContext) {
        warnOfPermissions()
        let file = configuration.identity.certificateChainFile
        if let validity = context.ownCertificate?.validity, !validity.contains(Timestamp.seconds) {
            logger.warning(
                "the server's certificate \(validity.upperBound < Timestamp.seconds ? "has expired" : "is not valid yet"): clients refuse it",
                metadata: ["file": "\(file)"])
        }
        if !context.authoritiesWithoutRevocations.isEmpty {
            logger.warning(
                "authorities of clients have no revocation list: their clients are let in, revoked or not",
                metadata: ["authorities": "\(context.authoritiesWithoutRevocations.joined(separator: ", "))"])
        }
    }

    // MARK: Files

    private var files: [String] {
        [
            configuration.identity.certificateChainFile, configuration.identity.privateKeyFile,
            configuration.clientCAFile, configuration.clientCRLFile,
        ].compactMap { $0 }
    }

    /// What changes when a file does, also where a link comes to point to another.
    private struct FileState: Equatable {
        var file: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    private var states: [FileState?] {
        files.map { file in
            var status = stat()
            guard stat(file, &status) == 0 else { return nil }
            return FileState(
                file: UInt(status.st_ino), size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
                nanoseconds: status.st_mtim.tv_nsec)
        }
    }

    /// A key is its owner's; a group may read it, as where the owner is root.
    private func warnOfPermissions() {
        let file = configuration.identity.privateKeyFile
        var status = stat()
        guard stat(file, &status) == 0, status.st_mode & 0o027 != 0 else { return }
        logger.warning(
            "the private key can be read or changed by others than its owner; run: chmod 600 \(file)",
            metadata: ["mode": "\(String(status.st_mode & 0o777, radix: 8))"])
    }
}
