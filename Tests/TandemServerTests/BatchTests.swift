import Addressing
import IPAM
import Ledger
import Logging
import NIOCore
import NIOEmbedded
import TandemAPI
import TestSupport
import Testing

@testable import TandemServer

@Suite("Batches")
struct BatchTests {
    @Test("a batch leaves turns of the event loop to others, and is answered whole, in its order")
    func yields() throws {
        let directory = ScratchDirectory()
        let engine = try Engine(
            cluster: ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/24")!]),
            store: try SQLiteLedger(directory: directory.path))
        defer { engine.journal.stop() }
        let health = Health { nil }
        health.enter(.serving)
        let metrics = CallMetrics()
        let service = RPCService(
            engine: engine, metrics: metrics, health: health,
            records: CallRecords(logger: Logger(label: "test"), audit: nil))
        let loop = EmbeddedEventLoop()
        let session = RPCSession(
            identity: .administrator, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 20))
        let calls = (0..<100).map { #"{"jsonrpc":"2.0","id":\#($0),"method":"GetPools"}"# }
        let text = Array("[\(calls.joined(separator: ","))]".utf8)
        func answered() -> UInt64 { metrics.counts.reduce(0) { $0 + $1.count } }

        let replies = Log<[UInt8]>()
        service.handle(text.withUnsafeBytes { service.parse($0, from: session) }, of: text.count, from: session) {
            reply in
            replies.add(reply?.bytes ?? [])
        }
        #expect(answered() == 16)
        let seen = Log<UInt64>()
        loop.execute { seen.add(answered()) }
        loop.run()
        #expect(seen.all == [32], "another connection's work comes after one more turn of the batch")
        #expect(answered() == 100 && session.isIdle)
        let ids = try JSONValue(parsing: replies.all.first ?? []).arrayValue?.map { $0["id"]?.intValue }
        #expect(replies.all.count == 1 && ids == Array(0..<100))
    }
}
