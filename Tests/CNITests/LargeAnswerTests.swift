import Foundation
import TandemAPI
import TestSupport
import Testing

@Suite("tandem-cni and answers that are larger than any should be, or not as they should be")
struct LargeAnswerTests {
    @Test("an answer of 60,000 members is read at once", .timeLimit(.minutes(2)))
    func readsManyMembers() throws {
        let server = try OneAnswer(
            #"{"jsonrpc":"2.0","id":1,"result":{"pod":{"status":{"podIPs":[{"ip":"10.0.0.2"}]},"metadata":{MEMBERS}},"node":{"name":"n1","podCIDRs":["10.0.0.0/24"],"gateways":["10.0.0.1"]}}}"#,
            members: 60_000)
        let answer = PluginProcess(port: server.port)("ADD")
        #expect(answer.addresses == ["10.0.0.2/24"], "\(answer.text)")
    }

    @Test("an answer with two addresses of one family is not passed on")
    func refusesTwoOfAFamily() throws {
        let server = try OneAnswer(
            #"{"jsonrpc":"2.0","id":1,"result":{"pod":{"status":{"podIPs":[{"ip":"10.0.0.2"},{"ip":"10.0.0.3"}]}},"node":{"name":"n1","podCIDRs":["10.0.0.0/24"],"gateways":["10.0.0.1"]}}}"#,
            members: 0)
        let answer = PluginProcess(port: server.port)("ADD")
        #expect(answer.status != 0 && answer.addresses.isEmpty, "\(answer.text)")
    }
}

/// A server that gives every call the same answer.
private final class OneAnswer {
    let port: Int
    private let process = Process()
    private let input = Pipe()

    private static let program = """
        import socket, ssl, sys
        certificate, key, answer, members = sys.argv[1:]
        answer = answer.replace("MEMBERS", ",".join('"k%d":1' % n for n in range(int(members))))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["jsonrpc"])
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            with context.wrap_socket(client, server_side=True) as stream:
                lines = stream.makefile("rwb")
                for _ in lines:
                    lines.write(answer.encode() + b"\\n")
                    lines.flush()
        """

    init(_ answer: String, members: Int) throws {
        let certificates = Certificates.shared
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c", Self.program, certificates.certificate("server"), certificates.key("server"), answer,
            String(members),
        ]
        process.standardInput = input
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        port = try #require(Int(LineReader(output.fileHandleForReading).next() ?? ""))
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
