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
}
