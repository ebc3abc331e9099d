import Foundation
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import OpenSSLTLS

@Suite("TLS, both sides of it")
struct TLSHandlerTests {
    @Test("a handshake and data, however the bytes are cut", arguments: [1, 2, 7, 100, 1_000, Int.max])
    func survivesCutting(size: Int) throws {
        let pair = try TLSPair()
        pair.connect()
        pair.carry(inPiecesOf: size)
        let agreed = try #require(pair.serverEvents.handshakes.first)
        #expect(agreed.applicationProtocol == "jsonrpc")
        let peer = try #require(agreed.peerCertificate)
        #expect(peer.commonName == "admin" && peer.organizations == ["tandem:admin"])
        #expect(peer.validity.upperBound - peer.validity.lowerBound >= 365 * 86_400)
        // Dated back a little, for clocks that differ.
        #expect(peer.validity.lowerBound < Int64(Date().timeIntervalSince1970) - 290)
        #expect(pair.clientEvents.handshakes.first?.peerCertificate?.commonName == "tandemd")

        let long = String((0..<50_000).map { Character(UnicodeScalar(UInt8(97 + $0 % 26))) })
        try pair.client.writeOutbound(ByteBuffer(string: long))
        try pair.server.writeOutbound(ByteBuffer(string: "an answer"))
        pair.carry(inPiecesOf: size)
        #expect(pair.serverEvents.text == long)
        #expect(pair.clientEvents.text == "an answer")
        #expect(pair.clientEvents.errors.isEmpty && pair.serverEvents.errors.isEmpty)
    }

    @Test("bytes written before the handshake is done wait for it")
    func keepsEarlyWrites() throws {
        let pair = try TLSPair()
        let written = pair.client.writeAndFlush(ByteBuffer(string: "early"))
        pair.connect()
        pair.carry()
        #expect(pair.serverEvents.text == "early")
        try written.wait()
    }

    @Test("writes between two flushes leave in one record, and all their promises are kept")
    func coalesces() throws {
        let pair = try TLSPair()
        pair.connect()
        pair.carry()
        let promises = (0..<10).map { pair.server.write(ByteBuffer(string: "\($0)")) }
        pair.server.flush()
        let sent = try #require(try pair.server.readOutbound(as: ByteBuffer.self))
        // A record of TLS 1.3: five bytes of header, the text, its type, and a tag of 16.
        #expect(sent.readableBytes == 5 + 10 + 1 + 16)
        #expect(try pair.server.readOutbound(as: ByteBuffer.self) == nil)
        try pair.client.writeInbound(sent)
        #expect(pair.clientEvents.text == "0123456789")
        for promise in promises { try promise.wait() }
    }

    @Test("records that come together go up together")
    func readsTogether() throws {
        let pair = try TLSPair()
        pair.connect()
        pair.carry()
        var bytes = ByteBuffer()
        for index in 0..<5 {
            try pair.client.writeOutbound(ByteBuffer(string: "\(index)"))
            var more = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
            bytes.writeBuffer(&more)
        }
        try pair.server.writeInbound(bytes)
        #expect(pair.serverEvents.text == "01234")
        #expect(pair.serverEvents.reads == 1)
    }

    @Test("no certificate is no fault; the identity of one is told")
    func allowsNoCertificate() throws {
        let pair = try TLSPair(role: nil, client: [])
        pair.connect()
        pair.carry()
        let agreed = try #require(pair.serverEvents.handshakes.first)
        #expect(agreed.peerCertificate == nil)
        #expect(agreed.applicationProtocol == nil)
    }

    @Test("a client that offers only protocols that the server does not speak is refused")
    func refusesProtocols() throws {
        let pair = try TLSPair(client: ["h2"])
        pair.connect()
        pair.carry()
        #expect(pair.serverEvents.handshakes.isEmpty)
        #expect(pair.serverEvents.errors.map(\.code) == [.handshakeFailed])
        #expect(pair.clientEvents.errors.map(\.code) == [.refusedByPeer])
        #expect(!pair.server.isActive && !pair.client.isActive)
    }

    @Test("the server's choice is the one that it likes best")
    func prefersItsOwn() throws {
        let pair = try TLSPair(client: ["http/1.1", "jsonrpc"])
        pair.connect()
        pair.carry()
        #expect(pair.clientEvents.handshakes.first?.applicationProtocol == "jsonrpc")
    }

    @Test("a certificate of another authority, or one made out to another name")
    func rejectsCertificates() throws {
        let stranger = Strangers.directory
        let client = try TLSPair(
            client: TLSContext(
                client: TLSClientConfiguration(
                    caFile: Certificates.shared.ca,
                    identity: TLSIdentity(
                        certificateChainFile: "\(stranger)/admin.crt", privateKeyFile: "\(stranger)/admin.key"),
                    serverName: "127.0.0.1", applicationProtocols: ["jsonrpc"])), server: .server())
        client.connect()
        client.carry()
        #expect(client.serverEvents.errors.map(\.code) == [.certificateRejected])
        #expect(client.serverEvents.handshakes.isEmpty)
        #expect(client.clientEvents.errors.map(\.code) == [.refusedByPeer])

        let server = try TLSPair(client: .client(ca: "\(stranger)/ca.crt"), server: .server())
        server.connect()
        server.carry()
        #expect(server.clientEvents.errors.map(\.code) == [.certificateRejected])
        #expect(server.clientEvents.handshakes.isEmpty)

        let name = try TLSPair(serverName: "example.com")
        name.connect()
        name.carry()
        #expect(name.clientEvents.errors.map(\.code) == [.certificateRejected])
    }

    @Test("closing says so, and is no error to either")
    func closesCleanly() throws {
        let pair = try TLSPair()
        pair.connect()
        pair.carry()
        try pair.server.close().wait()
        pair.carry()
        #expect(pair.clientEvents.isInputClosed)
        #expect(pair.client.isActive && !pair.server.isActive)
        try pair.client.close().wait()
        #expect(pair.clientEvents.errors.isEmpty && pair.serverEvents.errors.isEmpty)
    }

    @Test("a peer that sends no more is told of, whichever way it says so; both ways it is told once")
    func tellsEndOfInput() throws {
        for bySocket in [true, false] {
            let pair = try TLSPair()
            pair.connect()
            pair.carry()
            if bySocket {
                pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            } else {
                pair.client.close(mode: .output, promise: nil)
                pair.carry()
            }
            #expect(pair.serverEvents.isInputClosed && pair.serverEvents.ends == 1)
            pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            try pair.server.writeOutbound(ByteBuffer(string: "late"))
            pair.carry()
            #expect(pair.clientEvents.text == "late" && pair.serverEvents.ends == 1)
            #expect(pair.serverEvents.errors.isEmpty)
        }
        let cut = try TLSPair()
        cut.connect()
        cut.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(cut.serverEvents.errors.map(\.code) == [.closedInHandshake] && !cut.server.isActive)
    }

    @Test("a handshake that takes too long, one that is cut off, and one that is none")
    func boundsHandshakes() throws {
        let slow = try TLSPair()
        slow.connect()
        slow.server.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(slow.serverEvents.errors.map(\.code) == [.handshakeTimedOut])
        #expect(!slow.server.isActive)

        let cut = try TLSPair()
        cut.connect()
        cut.server.pipeline.fireChannelInactive()
        #expect(cut.serverEvents.errors.map(\.code) == [.closedInHandshake])

        let plain = try TLSPair()
        plain.connect()
        _ = try? plain.server.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
        #expect(plain.serverEvents.errors.map(\.code) == [.handshakeFailed])
        #expect(!plain.server.isActive)
    }

    @Test("a connection that ends without a word is told from one that was ended")
    func noticesTruncation() throws {
        let pair = try TLSPair()
        pair.connect()
        pair.carry()
        pair.server.pipeline.fireChannelInactive()
        #expect(pair.serverEvents.errors.map(\.code) == [.truncated])
    }

    @Test("bytes that were changed on their way end the connection")
    func noticesForgery() throws {
        let pair = try TLSPair()
        pair.connect()
        pair.carry()
        try pair.client.writeOutbound(ByteBuffer(string: "pay 1"))
        var bytes = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        let last = bytes.writerIndex - 1
        bytes.setInteger(try #require(bytes.getInteger(at: last, as: UInt8.self)) ^ 1, at: last)
        _ = try? pair.server.writeInbound(bytes)
        #expect(pair.serverEvents.text.isEmpty)
        #expect(pair.serverEvents.errors.map(\.code) == [.protocolViolation])
        #expect(!pair.server.isActive)
    }
}

/// Certificates of an authority that neither side trusts.
enum Strangers {
    static let directory: String = {
        let scratch = "\(Certificates.shared.directory)-strangers"
        _ = Command.run("bash", [Certificates.script, scratch])
        return scratch
    }()
}
