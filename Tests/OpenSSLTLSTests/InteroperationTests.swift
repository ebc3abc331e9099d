import COpenSSL
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import OpenSSLTLS

/// The handler on a real socket, with OpenSSL's own program at the other end.
@Suite("With openssl s_client", .serialized)
struct InteroperationTests {
    @Test("a ticket of one connection is taken up by the next, client certificate and all")
    func resumes() throws {
        let echo = try EchoServer(.server())
        let directory = ScratchDirectory()
        let ticket = "\(directory.path)/ticket"
        let first = echo.ask([
            "-sess_out", ticket, "-cert", Certificates.shared.certificate("admin"), "-key",
            Certificates.shared.key("admin"),
        ])
        #expect(first.output.contains("admin/false"), "\(first.output) \(first.errors)")
        let second = echo.ask(["-sess_in", ticket])
        #expect(second.output.contains("admin/true"), "\(second.output) \(second.errors)")
    }

    @Test(
        "a ticket is not taken up once its certificate has expired: the handshake goes its whole way, and fails by it",
        arguments: [TLSVersion.tls13, .tls12])
    func forgetsExpired(_ version: TLSVersion) throws {
        let context = try TLSContext.server(version: version)
        let echo = try EchoServer(context)
        let directory = ScratchDirectory()
        let identity = [
            "-cert", Certificates.shared.certificate("admin"), "-key", Certificates.shared.key("admin"),
        ]
        let speak = version == .tls12 ? ["-tls1_2"] : []
        let ticket = "\(directory.path)/ticket"
        let first = echo.ask(["-sess_out", ticket] + identity + speak)
        #expect(first.output.contains("admin/false"), "\(first.output) \(first.errors)")
        #expect(echo.ask(["-sess_in", ticket] + speak).output.contains("admin/true"))
        // Certificates are issued for a year; the clock that they are tested against goes on by ten.
        X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context.pointer), time(nil) + 10 * 365 * 86_400)
        let stranger = echo.ask(["-sess_in", ticket] + speak)
        #expect(stranger.output.contains("nobody/false"), "\(stranger.output) \(stranger.errors)")
        let late = echo.ask(["-sess_in", ticket] + identity + speak)
        #expect(!late.output.contains("/"), "\(late.output) \(late.errors)")
    }

    @Test("one is taken up also when the list of revocations has run out, as its certificate would be taken")
    func outlivesList() throws {
        let directory = ScratchDirectory()
        let authority = CertificateAuthority(directory)
        authority.issue("listed", user: "listed")
        let (list, ticket) = ("\(directory.path)/revoked.pem", "\(directory.path)/ticket")
        authority.writeRevocations(list)
        let context = try TLSContext(
            server: TLSServerConfiguration(
                identity: .of("server"), clientCAFile: Certificates.shared.ca, clientCRLFile: list,
                applicationProtocols: ["jsonrpc"]))
        let echo = try EchoServer(context)
        let identity = [
            "-cert", Certificates.shared.certificate("listed"), "-key", Certificates.shared.key("listed"),
        ]
        #expect(echo.ask(["-sess_out", ticket] + identity).output.contains("listed/false"))
        #expect(echo.ask(["-sess_in", ticket]).output.contains("listed/true"))
        // Lists are made for 30 days, this certificate for many years.
        X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context.pointer), time(nil) + 60 * 86_400)
        #expect(echo.ask(["-sess_in", ticket]).output.contains("listed/true"))
        #expect(echo.ask(identity).output.contains("listed/false"))
    }

    @Test("TLS 1.2 where it is allowed, and only there; never a renegotiation")
    func speaksTLS12() throws {
        let modern = try EchoServer(.server())
        #expect(modern.ask(["-tls1_2"]).status != 0)
        let old = try EchoServer(.server(version: .tls12))
        let answer = old.ask(["-tls1_2"])
        #expect(answer.output.contains("nobody/false"), "\(answer.output) \(answer.errors)")
        #expect(old.ask(["-tls1_1"]).status != 0)
        // `R` at the start of a line asks s_client to renegotiate.
        let again = old.ask(["-tls1_2", "-legacy_renegotiation"], input: "R\n", quiet: false)
        #expect((again.output + again.errors).contains("no renegotiation"), "\(again.output) \(again.errors)")
    }

    @Test("of TLS 1.2 the suites alone that are AEAD and whose keys die with the connection, on either side")
    func speaksAEADAlone() throws {
        let old = try EchoServer(.server(version: .tls12))
        for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
            let answer = old.ask(["-tls1_2", "-cipher", suite])
            #expect(answer.output.contains("nobody/false"), "\(suite): \(answer.errors)")
        }
        for suite in ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM"] {
            let answer = old.ask(["-tls1_2", "-cipher", suite])
            #expect(answer.status != 0 && answer.errors.contains("handshake failure"), "\(suite): \(answer.errors)")
        }
        let client = try TLSContext.client()
        let offered = SSL_CTX_get_ciphers(client.pointer)
        for index in 0..<tandem_sk_SSL_CIPHER_num(offered) {
            let suite = tandem_sk_SSL_CIPHER_value(offered, index)
            #expect(SSL_CIPHER_is_aead(suite) == 1)
        }
    }
}

/// Answers the first line with the client's identity and whether a ticket was used, and ends.
final class EchoServer {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let channel: any Channel
    /// Why handshakes failed.
    let errors = Noted<String>()

    init(_ context: TLSContext) throws {
        channel = try ServerBootstrap(group: group)
            .childChannelInitializer { [errors] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([TLSHandler(context: context), Answerer(errors)])
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
    }

    deinit {
        try? group.syncShutdownGracefully()
    }

    func ask(_ arguments: [String], input: String = "hello\n", quiet: Bool = true) -> Command.Result {
        let port = channel.localAddress?.port ?? 0
        return Command.run(
            "timeout",
            [
                "20", "openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", Certificates.shared.ca,
                "-verify_return_error",
            ] + (quiet ? ["-quiet"] : []) + arguments, input: input)
    }
}

private final class Answerer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var handshake: TLSHandshakeCompleted?
    private let errors: Noted<String>

    init(_ errors: Noted<String>) {
        self.errors = errors
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSHandshakeCompleted { handshake = event }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let name = handshake?.peerCertificate?.commonName ?? "nobody"
        let answer = "\(name)/\(handshake?.isResumed ?? false)\n"
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errors.add("\(error)")
        context.close(promise: nil)
    }
}
