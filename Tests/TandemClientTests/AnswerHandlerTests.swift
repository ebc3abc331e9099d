import NIOCore
import NIOEmbedded
import TandemAPI
import Testing

@testable import TandemClient

@Suite("A connection that is left for another")
struct AnswerHandlerTests {
    @Test("it is closed once the last call that waits is answered or given up, and at once where none waits")
    func retires() throws {
        for isAnswered in [true, false] {
            let channel = EmbeddedChannel()
            let handler = AnswerHandler(ready: channel.eventLoop.makePromise())
            try channel.pipeline.syncOperations.addHandler(handler)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            let first = handler.send("GetPools", [:], timeout: .seconds(1))
            let second = handler.send("GetPools", [:], timeout: .seconds(2))
            try channel.writeInbound(ByteBuffer(string: "{\"id\":1,\"result\":1}\n"))
            #expect(try first.wait()["result"] == 1)
            handler.retire()
            #expect(channel.isActive)
            if isAnswered {
                try channel.writeInbound(ByteBuffer(string: "{\"id\":2,\"result\":2}\n"))
                #expect(try second.wait()["result"] == 2)
            } else {
                channel.embeddedEventLoop.advanceTime(by: .seconds(2))
                #expect(throws: ClientError.self) { try second.wait() }
            }
            #expect(!channel.isActive)
        }
        let channel = EmbeddedChannel()
        let handler = AnswerHandler(ready: channel.eventLoop.makePromise())
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        handler.retire()
        #expect(!channel.isActive)
    }

    @Test("calls of a batch are sent as one line, and answered in any order, together or not")
    func sendsBatches() throws {
        let channel = EmbeddedChannel()
        let handler = AnswerHandler(ready: channel.eventLoop.makePromise())
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let calls = [("GetNode", ["a": 1]), ("GetPod", ["b": 2]), ("GetPools", [:])] as [(String, JSONValue)]
        let answers = handler.send(calls.map { (method: $0.0, params: $0.1) }, timeout: .seconds(1))
        let line = try #require(try channel.readOutbound(as: ByteBuffer.self))
        #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
        let sent = try JSONValue(parsing: line.readableBytesView).arrayValue ?? []
        #expect(sent.map { $0["method"]?.stringValue } == ["GetNode", "GetPod", "GetPools"])
        #expect(sent.map { $0["params"] } == calls.map(\.1))
        try channel.writeInbound(ByteBuffer(string: "[{\"id\":2,\"result\":20},{\"id\":1,\"result\":10}]\n"))
        try channel.writeInbound(ByteBuffer(string: "{\"id\":3,\"result\":30}\n"))
        #expect(try answers.map { try $0.wait()["result"] } == [10, 20, 30])
    }
}
