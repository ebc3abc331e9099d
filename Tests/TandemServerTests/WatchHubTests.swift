import Addressing
import EngineSupport
import FaultyLog
import IPAM
import Measures
import NIOCore
import NIOEmbedded
import TandemAPI
import TestSupport
import Testing

@testable import TandemServer

/// On a loop whose time the test makes.
@Suite("The hub of a loop's watches")
struct WatchHubTests {
    private let loop = EmbeddedEventLoop()
    private let engine: Engine
    private let hubs: WatchHubs
    private let hub: WatchHub

    init() throws {
        engine = try Engine(
            cluster: ClusterConfiguration(serviceRanges: [CIDR("10.96.0.0/20")!]), log: FaultyLog(), stepsByHand: true)
        hubs = WatchHubs(engine, idleTimeout: .seconds(60))
        hub = hubs.hub(of: loop)
    }

    /// A connection and the lines that it is told.
    private final class Client {
        var lines: [ByteBuffer] = []
        var isWritable = true
        /// The cost of a line for the loop.
        var cost = TimeAmount.nanoseconds(0)
        private var connection: WatchConnection?

        init(_ hub: WatchHub, _ loop: EmbeddedEventLoop, _ query: WatchQuery = WatchQuery()) throws {
            let session = RPCSession(
                identity: .administrator, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 20),
                queue: LoopQueue(loop) { Moment(nanoseconds: 0) })
            let connection = WatchConnection(
                session, hub, .lines, isWritable: { [unowned self] in isWritable },
                send: { [unowned self] line in
                    lines.append(line)
                    if cost > .zero { loop.advanceTime(by: cost) }
                })
            self.connection = connection
            let started = Noted<Engine.WatchStart>()
            hub.engine.beginWatch(query, on: nil) { if case .success(let start) = $0 { started.add(start) } }
            while hub.engine.step() {}
            try connection.add(query, try #require(started.all.first)).begin()
            loop.run()
            lines = []
        }

        func close() { connection?.close() }

        func becameWritable() { connection?.becameWritable() }

        /// The names of the objects that came, line by line.
        var told: [[String]] {
            lines.map { line in
                String(buffer: line).matches(of: /"name":"([a-z0-9]+)"/).map { String($0.output.1) }
            }
        }
    }

    private func make(_ name: String) {
        engine.begin(.allocateServiceIPs, ["service": ["metadata": ["name": .string(name)], "spec": [:]]]) { _ in }
        while engine.step() {}
        loop.run()
    }

    @Test("a change is told at once while telling costs little")
    func tellsAtOnce() throws {
        let client = try Client(hub, loop)
        for name in ["a", "b", "c"] { make(name) }
        #expect(client.told == [["a"], ["b"], ["c"]])
    }

    @Test("where telling costs time, later changes are told together, at most 10 ms later, and none is left out")
    func tellsTogether() throws {
        let client = try Client(hub, loop)
        client.cost = .milliseconds(1)
        for name in ["a", "b", "c"] { make(name) }
        // One part in ten: it rests for nine times as long.
        loop.advanceTime(by: .milliseconds(8))
        #expect(client.told == [["a"]])
        loop.advanceTime(by: .milliseconds(2))
        #expect(client.told == [["a"], ["b", "c"]])
        // However long it took.
        client.cost = .milliseconds(50)
        loop.advanceTime(by: .seconds(1))
        make("d")
        make("e")
        loop.advanceTime(by: .milliseconds(61))
        #expect(client.told == [["a"], ["b", "c"], ["d"], ["e"]])
    }

    @Test("a message to many is put together once, for all of them")
    func makesLinesOnce() throws {
        let clients = try (0..<3).map { _ in try Client(hub, loop) }
        make("a")
        let places = Set(clients.map { client in client.lines.first?.withUnsafeReadableBytes { $0.baseAddress } })
        #expect(places.count == 1 && places.first != .some(nil))
    }

    @Test("a client that takes nothing keeps nothing waiting; missed changes come when it takes again, in order, once")
    func slowReader() throws {
        let (slow, quick) = (try Client(hub, loop), try Client(hub, loop))
        slow.isWritable = false
        let names = (0..<40).map { "s\($0)" }
        for name in names { make(name) }
        #expect(slow.lines.isEmpty)
        slow.isWritable = true
        slow.becameWritable()
        loop.run()
        #expect(slow.told.flatMap(\.self) == names && quick.told.flatMap(\.self) == names)
        make("last")
        #expect(slow.told.last == ["last"] && quick.told.last == ["last"])
    }

    @Test(
        "a quiet watch has a bookmark within the time of its looks; one that was told something needs none until then")
    func bookmarks() throws {
        let client = try Client(hub, loop)
        func bookmarks() -> Int { client.lines.count { String(buffer: $0).contains("BOOKMARK") } }
        loop.advanceTime(by: .seconds(2 * Int64(WatchHub.looks)))
        #expect(1...2 ~= bookmarks())
        client.lines = []
        // Told something every five seconds it is never quiet for a whole round.
        for number in 0..<12 {
            make("busy\(number)")
            loop.advanceTime(by: .seconds(5))
        }
        #expect(bookmarks() == 0)
        client.close()
        client.lines = []
        loop.advanceTime(by: .seconds(60))
        make("unheard")
        #expect(client.lines.isEmpty)
    }
}
