import Addressing
import IPAM
import Ledger
import Measures
import NIOCore
import NIOEmbedded
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@testable import TandemServer

@Suite("Abandoned calls")
struct AbandonmentTests {
    private let directory = ScratchDirectory()
    private let loop = EmbeddedEventLoop()
    private let engine: Engine
    private let service: RPCService
    private let session: RPCSession
    private let replies = Noted<String>()

    init() throws {
        engine = try Engine(
            cluster: ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/24")!]),
            log: try SQLiteLog(directory: directory.path), stepsByHand: true)
        service = RPCService(serving: engine)
        session = RPCSession(
            identity: .administrator, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 20),
            queue: LoopQueue(loop) { Moment(nanoseconds: 0) })
    }

    private func send(_ name: String, id: Int? = nil, timeout: Int? = nil) {
        let id = id.map { #""id":\#($0),"# } ?? ""
        let timeout = timeout.map { #","timeoutMs":\#($0)"# } ?? ""
        let text = Array(
            #"{"jsonrpc":"2.0",\#(id)"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"\#(name)"}}\#(timeout)}}"#
                .utf8)
        let message = text.withUnsafeBytes { service.parse($0, from: session) }
        _ = service.handle(message, of: text.count, from: session) { [replies, session] reply in
            replies.add(reply.map { String(decoding: $0.bytes, as: UTF8.self) } ?? "none")
            session.release(reply?.bytes.count ?? 0)
        }
    }

    /// Of the requested Services, those that exist once the journal has processed its queue.
    private func stored() -> [String] {
        engine.step()
        loop.run()
        let found = Noted<String>()
        for name in ["a", "b", "c", "d"] {
            let metadata = ObjectMeta(namespace: "default", name: name)
            engine.perform(Call(.getService, .getService(metadata))) { result in
                if case .success = result { found.add(name) }
            }
        }
        return found.all
    }

    @Test("a call whose time ran out before it was appended is dropped, and is in flight no more")
    func dropsLateCalls() {
        send("a", id: 1, timeout: 100)
        send("b", id: 2, timeout: 300)
        send("c", id: 3)
        // No client waits for its answer, but its time is over as any other's.
        send("d", timeout: 100)
        loop.advanceTime(by: .milliseconds(200))
        #expect(replies.all.count == 2 && replies.all.contains { $0.contains("DEADLINE_EXCEEDED") })
        #expect(!session.isIdle)
        #expect(stored() == ["b", "c"])
        #expect(replies.all.count == 4 && session.isIdle && service.inFlight == 0)
        engine.stop()
    }

    @Test("a call whose connection closed before it was appended is dropped; one that wants no answer is not")
    func dropsCallsOfClosedConnections() {
        send("a", id: 1)
        send("b", id: 2, timeout: 300)
        send("c")
        send("d", timeout: 300)
        session.close()
        #expect(stored() == ["c", "d"])
        #expect(session.isIdle && service.inFlight == 0)
        engine.stop()
    }

    @Test("the end of a connection is seen while storage hangs", .enabled(if: StalledStorage.isAllowed))
    func seesEndOfConnection() throws {
        func params(_ name: String) -> JSONValue { ["service": ["metadata": ["name": .string(name)]]] }
        let data = ScratchDirectory()
        let server = try ServerProcess(data.path, ServerProcess.ranges)
        let client = try WireClient(port: server.port)
        let storage = try StalledStorage(server)
        let request: JSONValue = ["jsonrpc": "2.0", "id": 0, "method": "AllocateServiceIPs", "params": params("a")]
        client.begin(request.text.description + "\n" + #"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"# + "\n")
        // Behind it: so the call waits for the log by now.
        #expect(client.receiveAnswer()?["result"] != nil)
        // One that merely says no more still waits for its answer.
        try client.leave(abruptly: true)
        let isSeen = (0..<1_000).contains { _ in
            Curl(port: server.port).request("/metrics").body.contains("\ntandem_connections 1\n")
        }
        #expect(isSeen)
        storage.goOn()
        let next = try LineStream(port: server.port)
        #expect(next.call(.allocateServiceIPs, params("b"))?["result"] != nil)
        #expect(next.call(.getService, params("a"))?["error"]?["data"]?["status"] == "NOT_FOUND")
        #expect(server.stop() == 0)
    }
}
