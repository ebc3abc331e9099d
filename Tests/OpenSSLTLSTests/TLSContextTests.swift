import Foundation
import OpenSSLTLS
import TestSupport
import Testing

@Suite("Setting TLS up")
struct TLSContextTests {
    private let directory = ScratchDirectory()
    private let certificates = Certificates.shared

    private func fault(
        certificate: String? = nil, key: String? = nil, ca: String? = nil, suites: [String] = [],
        protocols: [String] = []
    ) -> TLSError? {
        let identity = TLSIdentity(
            certificateChainFile: certificate ?? certificates.certificate("server"),
            privateKeyFile: key ?? certificates.key("server"))
        do throws(TLSError) {
            _ = try TLSContext(
                server: TLSServerConfiguration(
                    identity: identity, clientCAFile: ca, cipherSuites: suites, applicationProtocols: protocols))
            return nil
        } catch {
            return error
        }
    }

    @Test("a fault of a file is told, with its name")
    func namesFiles() throws {
        #expect(fault() == nil)
        let missing = "\(directory.path)/none.pem"
        for error in [fault(certificate: missing), fault(key: missing), fault(ca: missing)] {
            #expect(error?.code == .fileUnreadable)
            #expect(error?.message.contains(missing) == true)
            #expect(error?.message.contains("No such file") == true)
        }
        #expect(fault(certificate: certificates.key("server"))?.code == .malformedFile)
        #expect(fault(key: certificates.ca)?.code == .malformedFile)
        #expect(fault(ca: "/dev/null")?.code == .malformedFile)
        #expect(fault(key: certificates.key("viewer"))?.code == .keyMismatch)
    }

    @Test("a weakness of a certificate is told")
    func namesWeakness() {
        let (certificate, key) = ("\(directory.path)/weak.crt", "\(directory.path)/weak.key")
        let made = Command.run(
            "openssl",
            ["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=weak"])
        #expect(made.status == 0)
        let error = fault(certificate: certificate, key: key)
        #expect(error?.code == .weakCertificate)
        #expect(
            error?.message.contains("\(certificate) is too weak (ee key too small)") == true,
            "\(error?.message ?? "none")")
    }

    @Test("a key with a pass phrase is refused, and no prompt asks for it")
    func refusesPassPhrases() {
        let locked = "\(directory.path)/locked.key"
        let made = Command.run(
            "openssl", ["pkey", "-in", certificates.key("server"), "-aes128", "-passout", "pass:x", "-out", locked])
        #expect(made.status == 0)
        let error = fault(key: locked)
        #expect(error?.code == .keyEncrypted)
        #expect(error?.message.contains("openssl pkey") == true)
    }

    @Test("cipher suites by the names of IANA's registry")
    func namesSuites() {
        // As Kubernetes' programs still call it.
        #expect(fault(suites: ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"]) == nil)
        #expect(fault(suites: ["TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]) == nil)
        let error = fault(suites: ["TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_NOTHING"])
        #expect(error?.code == .unknownCipherSuite)
        #expect(error?.message.contains("\"TLS_RSA_WITH_NOTHING\"") == true)
        #expect(error?.message.contains("TLS_AES_256_GCM_SHA384") == true)
        // Neither AEAD, nor of keys that die with the connection.
        for suite in ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_GCM_SHA256"] {
            #expect(fault(suites: [suite])?.code == .unknownCipherSuite)
        }
    }

    @Test("names of protocols have 1 to 255 bytes")
    func boundsProtocols() {
        #expect(fault(protocols: [""])?.code == .invalidProtocolName)
        #expect(fault(protocols: [String(repeating: "x", count: 256)])?.code == .invalidProtocolName)
        #expect(fault(protocols: [String(repeating: "x", count: 255)]) == nil)
    }
}
