import Foundation
import OpenSSLTLS
import ServerSupport
import TandemAPI
import TandemClient
import TestSupport
import Testing

@testable import Dashboard

@Suite("The dashboard's server", .serialized)
struct DashboardServerTests {
    /// A dashboard over a server that is not there.
    private func withDashboard<Value>(
        port: Int = 1, _ body: (_ address: String) async throws -> Value
    ) async throws -> Value {
        let certificates = Certificates.shared
        let configuration = ClientConfiguration(
            host: "127.0.0.1", port: port, caFile: certificates.ca,
            identity: .init(
                certificateChainFile: certificates.certificate("viewer"), privateKeyFile: certificates.key("viewer")))
        let server = try await DashboardServer.start(configuration, user: "viewer")
        let work = Task { try await server.run() }
        defer { work.cancel() }
        return try await body(server.address)
    }

    private func curl(_ arguments: [String], input: String? = nil) async throws -> String {
        try await onOwnThread {
            Command.run("curl", ["-sS", "-i", "--max-time", "20"] + arguments, input: input).output
        }
    }

    @Test("every answer forbids other origins, frames, caches and referrers")
    func guards() async throws {
        try await withDashboard { address in
            for path in ["", "main.js", "servers", "nothing"] {
                let answer = try await curl([address + path]).lowercased()
                for line in [
                    "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                        + "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                    "referrer-policy: no-referrer", "x-frame-options: deny", "x-content-type-options: nosniff",
                    "cache-control: no-store",
                ] {
                    #expect(answer.contains("\r\n\(line)\r\n"), "\(path): \(line)")
                }
            }
        }
    }

    @Test("it is on loopback alone, under another token each time")
    func listens() async throws {
        let addresses = try await withDashboard { first in try await withDashboard { [first, $0] } }
        let tokens = addresses.compactMap { $0.split(separator: "/").last }
        #expect(addresses.allSatisfy { $0.hasPrefix("http://127.0.0.1:") } && Set(tokens).count == 2)
    }

    @Test("the address for a browser's command line leads to the page, and then nowhere")
    func letsIn() async throws {
        let configuration = ClientConfiguration(host: "127.0.0.1", port: 1, caFile: Certificates.shared.ca)
        let server = try await DashboardServer.start(configuration)
        let work = Task { try await server.run() }
        defer { work.cancel() }
        let entrance = server.entrance()
        let first = try await curl(["-L", entrance])
        #expect(first.hasPrefix("HTTP/1.1 303") && first.contains("<title>Tandem</title>"))
        #expect(try await curl(["-L", entrance]).hasPrefix("HTTP/1.1 404"))
        #expect(!entrance.contains(server.address.split(separator: "/").last ?? ""))
    }

    @Test("a body that is too large is refused, and its connection ended")
    func boundsBodies() async throws {
        try await withDashboard { address in
            let json = [
                "-H", "content-type: application/json", "-H", "expect:", "--data-binary", "@-",
                address + "servers/0/rpc",
            ]
            func body(_ bytes: Int) -> String { "1" + String(repeating: " ", count: bytes - 1) }
            let large = try await curl(json, input: body(Gate.maximumBodyBytes + 1)).lowercased()
            #expect(large.hasPrefix("http/1.1 413") && large.contains("connection: close"))
            // As large as may be: read, and no call.
            #expect(try await curl(json, input: body(Gate.maximumBodyBytes)).hasPrefix("HTTP/1.1 400"))
        }
    }

    @Test("so many connections and no more; one that ends makes room")
    func boundsConnections() async throws {
        try await withDashboard { address in
            let port = Int(address.split(separator: ":")[2].split(separator: "/")[0]) ?? 0
            let path = address.dropFirst("http://127.0.0.1:\(port)".count)
            let request = "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\r\n"
            try await onOwnThread {
                var open: [PlainSocket] = []
                for _ in 0..<DashboardServer.maximumConnections {
                    open.append(try PlainSocket(port: port))
                    #expect(open[open.count - 1].exchange(request).hasPrefix("HTTP/1.1 200"))
                }
                #expect(try PlainSocket(port: port).exchange(request).hasPrefix("HTTP/1.1 503"))
                open.removeLast()
                // The end of one is seen a moment later.
                var answer = ""
                repeat { answer = try PlainSocket(port: port).exchange(request) } while answer.hasPrefix("HTTP/1.1 503")
                #expect(answer.hasPrefix("HTTP/1.1 200"))
            }
        }
    }

    @Test("an unreachable server is answered with 502, for calls and for reads")
    func tellsLoss() async throws {
        try await withDashboard { address in
            let call = try await curl(
                [
                    "-H", "content-type: application/json", "-d", #"{"id":1,"method":"GetPools"}"#,
                    address + "servers/0/rpc",
                ])
            #expect(call.hasPrefix("HTTP/1.1 502") && call.contains("NOT_REACHED") && call.contains("refused"))
            #expect(try await curl([address + "servers/0/health"]).hasPrefix("HTTP/1.1 502"))
        }
    }

    @Test("calls, health and metrics are those of the server, by the user's certificate; after a restart too")
    func forwards() async throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let port = server.port
        try await withDashboard(port: port) { address in
            func pools() async throws -> String {
                try await curl(
                    [
                        "-H", "content-type: application/json", "-d",
                        #"{"id":1,"method":"GetPools","params":{"kind":"Service"}}"#, address + "servers/0/rpc",
                    ])
            }
            #expect(try await pools().contains(#""cidr":"10.96.0.0/20""#))
            #expect(try await curl([address + "servers/0/health"]).contains("[+]storage ok"))
            #expect(try await curl([address + "servers/0/metrics"]).contains("tandem_pool_capacity"))
            #expect(try await curl([address + "servers/0/peers"]).contains(#""storage":"sqlite""#))
            #expect(
                try await curl([address + "servers"]).contains(#"{"servers":["127.0.0.1:\#(port)"],"user":"viewer""#))
            _ = server.stop()
            let again = try ServerProcess(directory.path, port: port)
            #expect(try await pools().contains(#""cidr":"10.96.0.0/20""#))
            withExtendedLifetime(again) {}
        }
    }

    @Test("changes come as they are made, earlier ones first; the objects of the start are not listed")
    func tellsChanges() async throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let caller = try LineStream(port: server.port)
        func allocate(_ name: String) {
            let call = caller.call(.allocateServiceIPs, ["service": ["metadata": ["name": .string(name)]]])
            #expect(call?["result"] != nil)
        }
        for number in 0..<60 { allocate("old-\(number)") }
        try await withDashboard(port: server.port) { address in
            let stream = try LineCommand("curl", ["-sSN", "--max-time", "60", address + "servers/0/changes"])
            func names(until last: String) async throws -> [String] {
                try await onOwnThread {
                    var names: [String] = []
                    while names.last != last, let line = stream.next() {
                        guard line.hasPrefix("data: "), let message = try? JSONValue(parsing: String(line.dropFirst(6)))
                        else { continue }
                        names += (message["changes"]?.arrayValue ?? []).compactMap { change in
                            change["name"]?.stringValue.map { change["isOld"] == true ? "(\($0))" : $0 }
                        }
                    }
                    return names
                }
            }
            let old = try await names(until: "(old-59)")
            #expect(old == (10..<60).map { "(old-\($0))" })
            allocate("new")
            #expect(try await names(until: "new") == ["new"])
        }
    }
}

/// TCP without TLS. Blocks.
private final class PlainSocket {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    }

    deinit { close(descriptor) }

    /// The first bytes.
    func exchange(_ request: String) -> String {
        _ = request.withCString { send(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}

/// A program whose lines are read as they come; it ends with this. Blocks.
private final class LineCommand: @unchecked Sendable {
    // Proof: one task asks for a line at a time.
    private let process = Process()
    private let lines: LineReader

    init(_ program: String, _ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        lines = LineReader(output.fileHandleForReading)
        try Children.start(process)
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func next() -> String? { lines.next() }
}
