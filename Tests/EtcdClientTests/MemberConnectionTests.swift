import NIOCore
import NIOEmbedded
import NIOHTTP2
import Testing

@testable import EtcdClient

/// One connection, with its clock and its bytes in the test's hands.
@Suite("A connection to a member")
struct MemberConnectionTests {
    private static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]

    /// The events of a connection.
    private final class Notes {
        var ready = 0
        var lost: [String] = []
        var outputs: [GRPCStream.Output] = []
    }

    private let channel = EmbeddedChannel()
    private let notes = Notes()

    private func connect() throws -> MemberConnection {
        let notes = notes
        let configuration = try EtcdConfiguration(servers: "http://127.0.0.1:1")
        let connection = MemberConnection(
            EtcdConnectionID(number: 1, member: ""), configuration.members[0], configuration,
            onReady: { _ in notes.ready += 1 }, onLost: { notes.lost.append($1) })
        try connection.install(in: channel, nil)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return connection
    }

    private func begin(_ connection: MemberConnection, isWatch: Bool = false) -> GRPCStreamHandler {
        let notes = notes
        return connection.begin("/a/b", ByteBuffer(), token: nil, timeout: nil, isWatch: isWatch) {
            notes.outputs.append($0)
        }
    }

    private func receive(_ bytes: [UInt8]) {
        // Their faults go through the pipeline.
        _ = try? channel.writeInbound(ByteBuffer(bytes: bytes))
    }

    /// The types of the frames that were sent.
    private func sent() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes += buffer.readableBytesView }
        if bytes.starts(with: Array("PRI".utf8)) { bytes.removeFirst(24) }
        var types: [UInt8] = []
        while bytes.count >= 9 {
            types.append(bytes[3])
            bytes.removeFirst(9 + (Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])))
        }
        return types
    }

    private static let ping: UInt8 = 6

    @Test("a member is there once its settings are")
    func ready() throws {
        _ = try connect()
        #expect(notes.ready == 0)
        receive(Self.settings)
        #expect(notes.ready == 1)
        receive(Self.settings)
        #expect(notes.ready == 1)
    }

    @Test("a member that is silent while something waits is asked for a sign, and is lost without one")
    func silent() throws {
        let connection = try connect()
        receive(Self.settings)
        _ = begin(connection, isWatch: true)
        _ = try sent()
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(9_999))
        #expect(try !sent().contains(Self.ping))
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(try sent().contains(Self.ping))
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(2_999))
        #expect(notes.lost.isEmpty)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(notes.lost == ["it gives no sign of life"])
        #expect(!channel.isActive)
        guard case .end(let error?)? = notes.outputs.last else {
            Issue.record("the stream goes on")
            return
        }
        #expect(error.code == .unavailable)
        #expect(error.mayHaveBeenApplied)
    }

    @Test("a member that gives the sign is asked again ten seconds later")
    func alive() throws {
        let connection = try connect()
        receive(Self.settings)
        _ = begin(connection, isWatch: true)
        for _ in 0..<5 {
            _ = try sent()
            channel.embeddedEventLoop.advanceTime(by: .milliseconds(9_999))
            #expect(try !sent().contains(Self.ping))
            channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            #expect(try sent().contains(Self.ping))
            receive([0, 0, 8, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        channel.embeddedEventLoop.advanceTime(by: .seconds(5))
        #expect(notes.lost.isEmpty)
    }

    @Test("no ping is sent where nothing waits")
    func idle() throws {
        let connection = try connect()
        receive(Self.settings)
        begin(connection).abort(EtcdError(.cancelled, "", mayHaveBeenApplied: true))
        _ = try sent()
        channel.embeddedEventLoop.advanceTime(by: .hours(1))
        #expect(try sent().isEmpty)
        #expect(notes.lost.isEmpty)
    }

    @Test(
        "the channel is closed on any error of the connection, and when the member goes away",
        arguments: [
            [0, 0, 0, 4, 0, 0, 0, 0, 1], [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0],
        ] as [[UInt8]])
    func broken(_ bytes: [UInt8]) throws {
        let connection = try connect()
        receive(Self.settings)
        _ = begin(connection)
        receive(bytes)
        channel.embeddedEventLoop.run()
        #expect(notes.lost.count == 1)
        #expect(!channel.isActive)
        #expect(notes.outputs.count == 1)
        // One that comes too late has surely not been sent.
        _ = begin(connection)
        guard case .end(let error?)? = notes.outputs.last else {
            Issue.record("the stream goes on")
            return
        }
        #expect(!error.mayHaveBeenApplied)
    }

    @Test("a connection that the member closes is lost once")
    func closed() throws {
        let connection = try connect()
        channel.close(promise: nil)
        channel.embeddedEventLoop.run()
        connection.close("again")
        #expect(notes.lost.count == 1)
    }
}
