import Addressing
import IPAM
import Ledger
import Measures
import NIOCore
import NIOEmbedded
import ServerSupport
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import TandemServer

@Suite("Batches")
struct BatchTests {
    @Test("a long batch lets the event loop look at its sockets in between, and is answered whole, in its order")
    func yields() throws {
        let directory = ScratchDirectory()
        let engine = try Engine(
            cluster: ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/24")!]),
            log: try SQLiteLog(directory: directory.path))
        defer { engine.stop() }
        let metrics = CallMetrics()
        let service = RPCService(serving: engine, metrics)
        let loop = EmbeddedEventLoop()
        // Each look at the clock finds it a fifth of a millisecond on.
        let clock = Atomic<UInt64>(0)
        let queue = LoopQueue(loop) { Moment(nanoseconds: clock.wrappingAdd(200_000, ordering: .relaxed).newValue) }
        let session = RPCSession(
            identity: .administrator, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 20),
            queue: queue)
        let calls = (0..<100).map { #"{"jsonrpc":"2.0","id":\#($0),"method":"GetPools"}"# }
        let text = Array("[\(calls.joined(separator: ","))]".utf8)
        @Sendable func answered() -> UInt64 { metrics.counts.reduce(0) { $0 + $1.count } }

        let replies = Noted<[UInt8]>()
        let begun = Noted<UInt64>()
        let message = text.withUnsafeBytes { service.parse($0, from: session) }
        let hasBegun = service.handle(message, of: text.count, from: session) {
            begun.add(answered())
        } _: { reply in
            replies.add(reply?.bytes ?? [])
        }
        #expect(!hasBegun && answered() == 6, "more than a millisecond")
        #expect(service.inFlight == 94, "a drain waits for those that have not begun as well")
        loop.run()
        var last = answered()
        #expect(last < 20)
        while last < 100 {
            // Nothing is due before the sockets had their time.
            loop.run()
            #expect(answered() == last && begun.all.isEmpty)
            loop.advanceTime(by: LoopQueue.pause)
            #expect(answered() > last && answered() <= last + 12)
            last = answered()
        }
        #expect(begun.all == [100] && session.isIdle && service.inFlight == 0)
        let ids = try JSONValue(parsing: replies.all.first ?? []).arrayValue?.map { $0["id"]?.intValue }
        #expect(replies.all.count == 1 && ids == Array(0..<100))
    }

    @Test(
        "calls behind a long batch on a stream run behind it: a release finds what the batch's last call allocated"
    )
    func keepsOrder() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, ServerProcess.ranges + ["--event-loops=1", "--pod-ip-reuse-delay=0"])
        let stream = try LineStream(port: server.port)
        func call(_ id: Int, _ method: String, _ params: String) -> String {
            #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":\#(params)}"#
        }
        for round in 0..<10 {
            let name = "p\(round)"
            // In a debug build a hundred of these take longer than the queue's share.
            let dry = (0..<200).map { index in
                call(index, "AllocateServiceIPs", #"{"service":{"metadata":{"name":"s\#(index)"}},"dryRun":true}"#)
            }
            let add = call(
                1_000, "AllocatePodIPs",
                #"{"pod":{"metadata":{"name":"\#(name)"},"spec":{"nodeName":"n1"}},"attachment":{"containerID":"c\#(round)"}}"#
            )
            let release = call(2_000, "Release", #"{"attachment":{"containerID":"c\#(round)"}}"#)
            stream.send("[\((dry + [add]).joined(separator: ","))]\n\(release)\n")
            var released: Int?
            for _ in 0..<2 {
                let answer = try #require(stream.receive())
                if answer["id"] == 2_000 { released = answer["result"]?["released"]?.arrayValue?.count }
            }
            #expect(released == 2, "round \(round)")
        }
        #expect(stream.call(.listPods, [:])?["result"]?["items"] == [])
        #expect(server.stop() == 0)
    }
}
