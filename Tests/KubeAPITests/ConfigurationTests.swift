import Foundation
import KubeSupport
import TandemAPI
import TestSupport
import Testing

@testable import KubeAPI

@Suite("The address of an API server, and the client's identity")
struct ConfigurationTests {
    private func read(_ text: String, context: String? = nil) throws -> KubeConfiguration {
        try Kubeconfig.read(Array(text.utf8), "/etc/kube/config", context: context)
    }

    private func kubeconfig(cluster: String = "{server: 'https://[fd00::1]:6443/k8s/'}", user: String = "{token: t}")
        -> String
    {
        """
        current-context: one
        contexts:
        - {name: one, context: {cluster: c, user: u}}
        - {name: two, context: {cluster: c, user: u, namespace: ns}}
        - {name: none, context: {cluster: absent, user: u}}
        clusters:
        - {name: c, cluster: \(cluster)}
        users:
        - {name: u, user: \(user)}
        """
    }

    @Test("the current context counts, or the one that is named")
    func contexts() throws {
        let one = try read(kubeconfig())
        #expect(one.namespace == "default")
        #expect(one.server == "https://[fd00::1]:6443/k8s")
        #expect(one.address.authority == "[fd00::1]:6443")
        #expect(one.token.kind == .fixed("t"))
        #expect(one.tls == TLSMaterial(authority: .system))
        #expect(try read(kubeconfig(), context: "two").namespace == "ns")
    }

    @Test("files are sought beside the configuration; bytes in it come first")
    func files() throws {
        let configuration = try read(
            kubeconfig(
                cluster: "{server: https://api, certificate-authority: ca.pem, tls-server-name: kubernetes}",
                user: "{client-certificate: ../c.pem, client-key: /k.pem, client-key-data: UEVN, tokenFile: t}"))
        #expect(configuration.address == ServerURL(host: "api", port: 443))
        #expect(configuration.address.authority == "api")
        #expect(configuration.tls.authority == .given(.file("/etc/kube/ca.pem")))
        #expect(configuration.tls.certificate == .file("/etc/c.pem"))
        #expect(
            configuration.tls.key
                == .bytes(Array("PEM".utf8), name: "client-key-data of the user u in /etc/kube/config"))
        #expect(configuration.tls.serverName == "kubernetes")
        #expect(configuration.token.kind == .file("/etc/kube/t"))
    }

    @Test("insecure-skip-tls-verify believes any server, and is refused beside an authority")
    func insecure() throws {
        let cluster = "{server: https://api, insecure-skip-tls-verify: true"
        #expect(try read(kubeconfig(cluster: cluster + "}")).tls.authority == .none)
        #expect(throws: KubeConfigurationError.self) {
            try read(kubeconfig(cluster: cluster + ", certificate-authority: ca}"))
        }
    }

    @Test(
        "settings that this client can't honour are refused with a reason",
        arguments: [
            ("{exec: {command: aws}}", "runs a program"), ("{auth-provider: {name: gcp}}", "auth-provider"),
            ("{username: u, password: p}", "password"), ("{token: t, as: root}", "as, which"),
            ("{token: 'a b'}", "a token that is none"),
            ("{client-certificate: c.pem}", "both of client-certificate and client-key"),
            ("{client-certificate-data: '***', client-key: k}", "no base64"),
        ])
    func refused(user: String, words: String) {
        let error = #expect(throws: KubeConfigurationError.self) { try read(kubeconfig(user: user)) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        #expect(error?.message.hasPrefix("/etc/kube/config: ") == true)
    }

    @Test(
        "missing and invalid files are reported",
        arguments: [
            ("{server: 'http://api'}", "https://HOST:PORT"), ("{}", "https://HOST:PORT"),
            ("{server: 'https://api', proxy-url: 'http://p'}", "proxy-url"),
        ])
    func faultyClusters(cluster: String, words: String) {
        let error = #expect(throws: KubeConfigurationError.self) { try read(kubeconfig(cluster: cluster)) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    @Test("a context, a cluster or a file that is not there is named")
    func absent() {
        for (context, words) in [("none", "clusters have no absent"), ("three", "contexts have no three")] {
            let error = #expect(throws: KubeConfigurationError.self) { try read(kubeconfig(), context: context) }
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
        for text in ["", "[]", "{a: b", "kind: Config"] {
            #expect(throws: KubeConfigurationError.self) { try read(text) }
        }
        #expect(throws: KubeConfigurationError.self) { try KubeConfiguration.kubeconfig("/absent/config") }
    }

    @Test("in a pod")
    func inCluster() async throws {
        let server = try await FakeAPIServer()
        let environment = ["KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "\(server.port)"]
        var configuration = try KubeConfiguration.inCluster(environment, directory: server.serviceAccountDirectory)
        configuration.requestTimeout = .seconds(86_400)
        configuration.pageTimeout = .seconds(86_400)
        try configuration.checkFiles()
        #expect(configuration.namespace == "tandem")
        #expect(try await KubeClient(configuration).list(.nodes).items.isEmpty)
        #expect(throws: KubeConfigurationError.self) {
            try KubeConfiguration.inCluster([:], directory: server.serviceAccountDirectory)
        }
        #expect(throws: KubeConfigurationError.self) {
            try KubeConfiguration.inCluster(environment, directory: "/absent")
        }
    }

    @Test("a key and certificates within the file itself authenticate the client, and leave no file behind")
    func bytesInFile() async throws {
        let server = try await FakeAPIServer()
        let certificates = Certificates.shared
        func data(_ path: String) throws -> String {
            try Data(contentsOf: URL(fileURLWithPath: path)).base64EncodedString()
        }
        let text = server.kubeconfig(
            user:
                "{client-certificate-data: \(try data(certificates.certificate("admin"))), client-key-data: \(try data(certificates.key("admin")))}",
            cluster:
                "{server: 'https://localhost:\(server.port)', certificate-authority-data: \(try data(certificates.ca))}"
        )
        let configuration = try KubeConfiguration.kubeconfig(server.write("with-data", text))
        try configuration.checkFiles()
        #expect(try await KubeClient(configuration).list(.nodes).items.isEmpty)
        let file = try MemoryFile(Array("PEM".utf8))
        #expect(try String(contentsOfFile: file.path, encoding: .utf8) == "PEM")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: file.path).hasSuffix(" (deleted)"))

        let wrong = server.kubeconfig(
            cluster: "{server: 'https://localhost:\(server.port)', certificate-authority-data: UEVN}")
        let error = #expect(throws: KubeConfigurationError.self) {
            try KubeConfiguration.kubeconfig(server.write("wrong", wrong)).checkFiles()
        }
        #expect(
            error?.message.hasPrefix("certificate-authority-data of the cluster fake") == true,
            "\(error?.message ?? "")")
    }

    @Test("a server under another name is believed by tls-server-name alone, and any by insecure-skip-tls-verify")
    func names() async throws {
        let server = try await FakeAPIServer()
        func failure(_ cluster: String) async throws -> KubeError? {
            let text = server.kubeconfig(cluster: "{server: 'https://127.0.0.1:\(server.port)', \(cluster)}")
            let client = KubeClient(try KubeConfiguration.kubeconfig(server.write("named", text)))
            return await KubeAPITests.failure { () throws(KubeError) in try await client.list(.nodes) }
        }
        #expect(try await failure("certificate-authority: ca.crt, tls-server-name: localhost") == nil)
        let refused = try await failure("certificate-authority: ca.crt, tls-server-name: elsewhere")
        #expect(
            refused?.code == .notReached && refused?.message.contains("elsewhere") == true,
            "\(String(describing: refused))")
        #expect(try await failure("insecure-skip-tls-verify: true, tls-server-name: elsewhere") == nil)
        // Of an authority that the machine does not know.
        #expect(try await failure("tls-server-name: localhost")?.code == .notReached)
    }
}
