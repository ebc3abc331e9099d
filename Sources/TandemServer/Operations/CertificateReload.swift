import Glibc
import LineLogs
import Logging
import Measures
import OpenSSLTLS
import Synchronization
import UnixSignals

/// The server's keys, certificates, authorities and revocation lists: read again on SIGHUP, and when one of their files
/// changes. Connections that are open stay; new ones get the new certificates, and no earlier session is resumed. Files that
/// can't be used change nothing, and are said to be so. Thread-safe.
final class CertificateReload: Sendable {
    private let configuration: TLSServerConfiguration
    /// The certificate by which etcd knows this server.
    private let etcdCertificateFile: String?
    private let logger: Logger
    private let current: Mutex<(context: TLSContext, etcd: Expiry?)>

    /// How often the files are looked at.
    private static let interval = Duration.seconds(1)

    /// `context` has the files' current content.
    init(
        _ configuration: TLSServerConfiguration, _ context: TLSContext, etcdCertificateFile: String?, _ logger: Logger
    ) {
        self.configuration = configuration
        self.etcdCertificateFile = etcdCertificateFile
        self.logger = logger
        current = Mutex((context, etcdCertificateFile.flatMap(Expiry.init)))
        warn(of: context)
    }

    /// For the next connection.
    var context: TLSContext { current.withLock { $0.context } }

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
            let etcd = etcdCertificateFile.flatMap(Expiry.init)
            current.withLock { $0 = (context, etcd) }
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

    /// Further expiries, in seconds from now; below 0 where they are past.
    var trustSecondsLeft: [(what: String, seconds: Int64)] {
        let (context, etcd) = current.withLock { $0 }
        let all = [
            ("client_ca", context.authorityExpiry), ("client_crl", context.revocationExpiry),
            ("etcd_certificate", etcd),
        ]
        return all.compactMap { what, expiry in expiry.map { (what, $0.seconds - Timestamp.seconds) } }
    }

    private func warn(of context: TLSContext) {
        warnOfPermissions()
        if let validity = context.ownCertificate?.validity, validity.lowerBound > Timestamp.seconds {
            logger.warning(
                "the server's certificate is not valid yet: clients refuse it",
                metadata: ["file": "\(configuration.identity.certificateChainFile)"])
        }
        warn(
            of: Expiry(certificatesIn: configuration.identity.certificateChainFile),
            configuration.identity.certificateChainFile,
            "the server's certificate ends soon", "the server's certificate has expired: clients refuse it")
        warn(
            of: context.authorityExpiry, configuration.clientCAFile, "an authority of clients ends soon",
            "an authority of clients has expired: its clients are refused")
        warn(
            of: context.revocationExpiry, configuration.clientCRLFile, "a list of revocations runs out soon",
            "a list of revocations has run out: whom it names is refused, whom its authority revoked since is let in")
        warn(
            of: current.withLock { $0.etcd }, etcdCertificateFile, "the certificate for etcd ends soon",
            "the certificate for etcd has expired: etcd refuses it")
        if !context.authoritiesWithoutRevocations.isEmpty {
            logger.warning(
                "authorities of clients have no revocation list: their clients are let in, revoked or not",
                metadata: ["authorities": "\(context.authoritiesWithoutRevocations.joined(separator: ", "))"])
        }
    }

    /// From so long before an end on it is warned of, at a start and each time that the files are read.
    private static let soonSeconds: Int64 = 7 * 86_400

    private func warn(of expiry: Expiry?, _ file: String?, _ soon: Logger.Message, _ over: Logger.Message) {
        guard let expiry, let file, expiry.seconds < Timestamp.seconds + Self.soonSeconds else { return }
        logger.warning(
            expiry.seconds < Timestamp.seconds ? over : soon,
            metadata: ["file": "\(file)", "name": "\(expiry.name)", "end": "\(expiry.dateText)"])
    }

    // MARK: Files

    private var files: [String] {
        [
            configuration.identity.certificateChainFile, configuration.identity.privateKeyFile,
            configuration.clientCAFile, configuration.clientCRLFile, etcdCertificateFile,
        ].compactMap { $0 }
    }

    /// A value that changes when a file does, also where a link comes to point to another.
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
