import NIOCore
import TestSupport
import Testing

@testable import EtcdClient

@Suite("A watch's changes by revision")
struct WatchAssemblerTests {
    private func response(_ revisions: [Int64], isFragment: Bool = false, bytes: Int = 1) -> WatchResponse {
        var response = WatchResponse()
        response.isFragment = isFragment
        response.events = revisions.map { revision in
            var event = WatchEvent()
            event.keyValue.modRevision = revision
            event.keyValue.value = ByteBuffer(repeating: 0, count: bytes)
            return event
        }
        return response
    }

    private func shape(_ revisions: [WatchAssembler.Revision]) -> [[Int64]] {
        revisions.map { [$0.number] + $0.events.map(\.keyValue.modRevision) }
    }

    @Test("one response may hold several revisions, and one revision may come in several")
    func pieces() throws {
        var assembler = WatchAssembler(startRevision: 5, maximumBytes: 100)
        #expect(shape(try assembler.receive(response([]))) == [])
        #expect(shape(try assembler.receive(response([5, 5, 7]))) == [[5, 5, 5], [7, 7]])
        #expect(shape(try assembler.receive(response([8, 9, 9], isFragment: true))) == [[8, 8]])
        #expect(shape(try assembler.receive(response([9], isFragment: true))) == [])
        #expect(shape(try assembler.receive(response([9, 12]))) == [[9, 9, 9, 9, 9], [12, 12]])
        #expect(shape(try assembler.receive(response([13], isFragment: true))) == [])
        #expect(shape(try assembler.receive(response([]))) == [[13, 13]])
    }

    @Test(
        "a revision that comes again, or before the first that is wanted, is an error",
        arguments: [[4], [5, 4], [6, 7, 6]])
    func disorder(_ revisions: [Int64]) {
        var assembler = WatchAssembler(startRevision: 5, maximumBytes: 100)
        #expect(throws: EtcdError.self) { try assembler.receive(response(revisions)) }
        var later = WatchAssembler(startRevision: 5, maximumBytes: 100)
        #expect(throws: Never.self) { try later.receive(response([5])) }
        #expect(throws: EtcdError.self) { try later.receive(response([5])) }
    }

    @Test("one revision has an end, all together have none")
    func limit() throws {
        var assembler = WatchAssembler(startRevision: 0, maximumBytes: 100)
        for revision in 1...20 as ClosedRange<Int64> { _ = try assembler.receive(response([revision], bytes: 60)) }
        _ = try assembler.receive(response([21], isFragment: true, bytes: 60))
        let error = #expect(throws: EtcdError.self) { try assembler.receive(response([21], bytes: 60)) }
        #expect(error?.code == .resourceExhausted)
    }
}

@Suite("The way from member to member")
struct MemberRotationTests {
    @Test("the first failure costs no time, further ones ever more, until a member does well")
    func pauses() {
        var rotation = MemberRotation(count: 3)
        var pauses: [TimeAmount] = []
        var members = [rotation.current]
        for _ in 0..<40 {
            pauses.append(rotation.failed())
            members.append(rotation.current)
        }
        #expect(Array(pauses.prefix(7)) == [0, 50, 100, 200, 400, 500, 500].map { TimeAmount.milliseconds($0) })
        #expect(pauses.dropFirst(7).allSatisfy { $0 == .milliseconds(500) })
        #expect(Array(members.prefix(5)) == [0, 1, 2, 0, 1])
        rotation.succeeded()
        #expect(rotation.failed() == .zero)
        #expect(rotation.failed() == .milliseconds(50))
    }
}
