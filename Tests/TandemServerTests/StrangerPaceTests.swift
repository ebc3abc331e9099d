import Addressing
import IPAM
import Ledger
import Measures
import NIOCore
import NIOEmbedded
import TandemAPI
import TestSupport
import Testing

@testable import TandemServer

@Suite("Charges of strangers")
struct StrangerPaceTests {
    @Test(
        "each call of a stranger counts as one that was refused for a limit, and a long answer as several; others' do not"
    )
    func charges() throws {
        let directory = ScratchDirectory()
        let engine = try Engine(
            cluster: ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/24")!]),
            log: try SQLiteLog(directory: directory.path))
        defer { engine.stop() }
        let service = RPCService(serving: engine)
        let loop = EmbeddedEventLoop()
        for (identity, expected) in [(nil, [1, 3, 1, 16]), (Identity.administrator, [0, 0, 0, 0])] {
            let session = RPCSession(
                identity: identity, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 20),
                queue: LoopQueue(loop) { Moment(nanoseconds: 0) })
            func charge(_ text: String) -> Int {
                let bytes = Array(text.utf8)
                let message = bytes.withUnsafeBytes { service.parse($0, from: session) }
                service.handle(message, of: bytes.count, from: session) { _ in }
                loop.run()
                return session.takeRefusals()
            }
            let call = #"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#
            #expect(charge(call) == expected[0])
            #expect(charge("[\(call),\(call),\(call)]") == expected[1])
            #expect(charge("no JSON") == expected[2])
            session.noteIfStranger(bytes: 64 << 10)
            #expect(session.takeRefusals() == expected[3])
        }
    }

    @Test("a client without a certificate may be silent for ten seconds at most, whatever the others may")
    func idle() throws {
        for (setting, strangers) in [("300", 10), ("3", 3)] {
            let limits = try ConnectionLimits(SettingsReader(Settings(["idle-timeout": setting])))
            #expect(limits.idleTimeout(of: nil) == .seconds(Int64(strangers)))
            #expect(limits.idleTimeout(of: .administrator) == .seconds(Int64(setting)!))
        }
    }
}
