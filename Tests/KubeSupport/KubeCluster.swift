public import EtcdSupport
import Foundation
public import KubeAPI
import Synchronization
import TestSupport

/// A real kube-apiserver over a real etcd on loopback, of both families, which goes away with the test. Thread-safe.
///
/// It is there where `make cluster-test` says in `TANDEM_CLUSTER` where the programs are that `Tests/Cluster/build-kubernetes.sh` builds.
public final class KubeCluster: Sendable {
    /// Where the programs are; nil where they are not to be had.
    public static let folder: String? = {
        let folder = ProcessInfo.processInfo.environment["TANDEM_CLUSTER"] ?? ""
        let isThere = ["kube-apiserver", "kube-controller-manager"].allSatisfy {
            FileManager.default.isExecutableFile(atPath: "\(folder)/\($0)")
        }
        return isThere && EtcdCluster.program != nil ? folder : nil
    }()

    /// Others may use it as well: their keys begin otherwise than with `/registry`.
    public let etcd: EtcdCluster
    public let port: Int
    /// Everything that the programs write, logs among it.
    public var directory: String { scratch.path }
    private let scratch = ScratchDirectory()
    private let arguments: [String]
    private let server: Mutex<Process?> = Mutex(nil)
    private let manager: Mutex<Process?> = Mutex(nil)

    public struct NotReady: Error, CustomStringConvertible {
        public let description: String
    }

    public static let serviceRanges = "10.96.0.0/20,fd00:10:96::/112"
    /// The administrator's certificate.
    public static let administrator = "administrator"
    /// The service account `tandem-controller` of the namespace `tandem`, with the rights of its roles.
    public static let controller = "controller"

    /// Returns once it is ready; some seconds. `arguments` are further flags of kube-apiserver's.
    public init(_ arguments: [String] = []) async throws {
        etcd = try await EtcdCluster()
        port = FreePorts(1).numbers[0]
        let (certificates, path) = (Certificates.shared, scratch.path)
        _ = Command.run(
            "openssl", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "\(path)/sa.key"])
        _ = Command.run("openssl", ["pkey", "-in", "\(path)/sa.key", "-pubout", "-out", "\(path)/sa.pub"])
        let tokens = """
            \(Self.administrator),admin,1,"system:masters"
            \(Self.controller),system:serviceaccount:tandem:tandem-controller,2,"system:serviceaccounts,system:serviceaccounts:tandem"

            """
        try tokens.write(toFile: "\(path)/tokens.csv", atomically: true, encoding: .utf8)
        self.arguments =
            [
                "--etcd-servers=\(etcd.servers)", "--secure-port=\(port)", "--bind-address=127.0.0.1",
                "--endpoint-reconciler-type=none", "--cert-dir=\(path)",
                "--tls-cert-file=\(certificates.certificate("server"))",
                "--tls-private-key-file=\(certificates.key("server"))", "--client-ca-file=\(certificates.ca)",
                "--token-auth-file=\(path)/tokens.csv", "--service-account-key-file=\(path)/sa.pub",
                "--service-account-signing-key-file=\(path)/sa.key",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-cluster-ip-range=\(Self.serviceRanges)", "--feature-gates=IPv6DualStack=true",
                "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
            ] + arguments
        try await start()
    }

    deinit {
        stop(manager)
        stop(server)
    }

    // MARK: Clients

    /// For an executable's `--kubeconfig`.
    public func kubeconfigFile(_ token: String = KubeCluster.administrator) -> String {
        let path = "\(scratch.path)/\(token).kubeconfig"
        let text = """
            apiVersion: v1
            kind: Config
            current-context: real
            contexts:
            - {name: real, context: {cluster: real, user: me, namespace: tandem}}
            clusters:
            - {name: real, cluster: {server: 'https://127.0.0.1:\(port)', certificate-authority: \(Certificates.shared.ca)}}
            users:
            - {name: me, user: {token: \(token)}}

            """
        try? text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    public func configuration(_ token: String = KubeCluster.administrator) throws -> KubeConfiguration {
        try KubeConfiguration.kubeconfig(kubeconfigFile(token))
    }

    // MARK: Programs

    /// `kill -9` of kube-apiserver.
    public func crash() { stop(server) }

    /// Starts kube-apiserver, where it is not running, and returns once it is ready.
    public func start() async throws {
        try run("kube-apiserver", arguments, server)
        let client = KubeClient(try configuration())
        // The namespace is the last of the objects that it makes for itself.
        let name = KubeObjectName(KubeResource(plural: "namespaces"), "default")
        let end = ContinuousClock.now + .seconds(120)
        while true {
            do throws(KubeError) {
                _ = try await client.get(name)
                return
            } catch {
                guard ContinuousClock.now < end, server.withLock({ $0?.isRunning ?? false }) else {
                    throw NotReady(description: "kube-apiserver: \(error)\n\(log("kube-apiserver"))")
                }
                await Task.yield()
            }
        }
    }

    /// kube-controller-manager, with these flags besides those that it needs in any case.
    public func startControllerManager(_ arguments: [String]) throws {
        let kubeconfig = kubeconfigFile()
        try run(
            "kube-controller-manager",
            [
                "--kubeconfig=\(kubeconfig)", "--authentication-kubeconfig=\(kubeconfig)",
                "--authorization-kubeconfig=\(kubeconfig)", "--bind-address=127.0.0.1", "--secure-port=0", "--port=0",
                "--leader-elect=false", "--feature-gates=IPv6DualStack=true",
                "--service-account-private-key-file=\(scratch.path)/sa.key",
            ] + arguments, manager)
    }

    public func stopControllerManager() { stop(manager) }

    /// The end of a program's output.
    public func log(_ program: String) -> String {
        let text = (try? String(contentsOfFile: "\(scratch.path)/\(program).log", encoding: .utf8)) ?? ""
        return String(text.suffix(4_000))
    }

    private func run(_ name: String, _ arguments: [String], _ place: borrowing Mutex<Process?>) throws {
        guard let folder = Self.folder else { throw NotReady(description: "there is no \(name)") }
        let path = "\(scratch.path)/\(name).log"
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        try place.withLock { process in
            guard process?.isRunning != true else { return }
            let log = FileHandle(forWritingAtPath: path)
            try log?.seekToEnd()
            let new = Process()
            new.executableURL = URL(fileURLWithPath: "\(folder)/\(name)")
            new.arguments = arguments
            new.standardInput = FileHandle.nullDevice
            new.standardOutput = log
            new.standardError = log
            try Children.start(new)
            process = new
        }
    }

    private func stop(_ place: borrowing Mutex<Process?>) {
        place.withLock { process in
            guard let running = process else { return }
            if running.isRunning { kill(running.processIdentifier, SIGKILL) }
            running.waitUntilExit()
            process = nil
        }
    }
}
