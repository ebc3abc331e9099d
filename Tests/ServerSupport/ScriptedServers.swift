import Foundation
import TestSupport

/// A server of a few lines of Python, on a free port of loopback, which ends with the test.
public class ScriptedServer {
    public let port: Int
    private let process = Process()
    private let input = Pipe()

    struct NotStarted: Error {}

    fileprivate init(_ program: String, _ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", program] + arguments
        process.standardInput = input
        let output = Pipe()
        process.standardOutput = output
        try Children.start(process)
        guard let port = Int(LineReader(output.fileHandleForReading).next() ?? "") else { throw NotStarted() }
        self.port = port
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    fileprivate func tell() {
        try? input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
    }
}

/// Gives every call the same answer, over the stream.
public final class AnsweringServer: ScriptedServer {
    /// `answer` are the members beside the id, as `"result":{}`; MEMBERS in it stands for so many members. With -1 of them the answer
    /// has no end.
    public init(_ answer: String, members: Int = 0, shiftingIDs: Bool = false) throws {
        let certificates = Certificates.shared
        try super.init(
            Self.program,
            [
                certificates.certificate("server"), certificates.key("server"), answer, String(members),
                shiftingIDs ? "1" : "0",
            ])
    }

    /// A refusal in the contract's words.
    public convenience init(status: String, code: Int, reason: String, isRetryable: Bool, _ message: String) throws {
        try self.init(
            #""error":{"code":\#(code),"message":"\#(message)","data":{"status":"\#(status)","reason":"\#(reason)","retryable":\#(isRetryable)}}"#
        )
    }

    private static let program = """
        import json, socket, ssl, sys, threading
        certificate, key, answer, members, shift = sys.argv[1:]
        answer = answer.replace("MEMBERS", ",".join('"k%d":1' % n for n in range(int(members))))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["jsonrpc"])
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        def serve(client):
            with context.wrap_socket(client, server_side=True) as stream:
                lines = stream.makefile("rwb")
                for line in lines:
                    while int(members) < 0: lines.write(b" " * 65536)
                    lines.write(b'{"jsonrpc":"2.0","id":%d,%s}\\n' % (json.loads(line)["id"] + int(shift), answer.encode()))
                    lines.flush()
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()
        """
}

/// Passes bytes between a client and the server; of the first connection it keeps the server's bytes after the
/// handshake, until that connection is cut.
public final class Relay: ScriptedServer {
    public init(to port: Int) throws {
        try super.init(Self.program, [String(port)])
    }

    public func cut() { tell() }

    private static let program = """
        import select, socket, sys, threading
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        cut = threading.Event()
        def relay(client, isFirst):
            server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            heard = answered = False
            while not (isFirst and cut.is_set()):
                for side in select.select([client, server], [], [], 0.05)[0]:
                    data = side.recv(65536)
                    if not data:
                        client.close(); server.close()
                        return
                    if side is client:
                        answered = heard
                        server.sendall(data)
                    elif not (isFirst and answered):
                        heard = True
                        client.sendall(data)
            client.close(); server.close()
        def accept():
            isFirst = True
            while True:
                client, _ = listener.accept()
                threading.Thread(target=relay, args=(client, isFirst), daemon=True).start()
                isFirst = False
        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.readline()
        cut.set()
        sys.stdin.readline()
        """
}
