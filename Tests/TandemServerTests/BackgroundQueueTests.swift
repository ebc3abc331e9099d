import Foundation
import Testing

@testable import LineLogs

@Suite("Background queue")
struct BackgroundQueueTests {
    @Test("items waiting and in work are bounded in bytes together; those past the bound are dropped and counted")
    func boundsBytes() {
        let isTaken = DispatchSemaphore(value: 0)
        let mayGoOn = DispatchSemaphore(value: 0)
        let queue = BackgroundQueue<[UInt8]>("test", limit: 1_000, maximumBytes: 1_000, bytes: \.count) { _ in
            isTaken.signal()
            mayGoOn.wait()
        }
        func item(_ bytes: Int) -> [UInt8] { Array(repeating: 0, count: bytes) }
        #expect(queue.submit(item(400)))
        isTaken.wait()
        // The first is still held by the body.
        #expect(queue.submit(item(600)))
        #expect(!queue.submit(item(1)))
        #expect(queue.dropped == 1)
        mayGoOn.signal()
        isTaken.wait()
        #expect(queue.submit(item(400)))
        #expect(!queue.submit(item(1)))
        #expect(queue.dropped == 2)
        for _ in 0..<2 { mayGoOn.signal() }
        queue.flush()
        // One alone is taken whatever its size: it could never be otherwise.
        #expect(queue.submit(item(5_000)))
        mayGoOn.signal()
        queue.flush()
    }

    @Test("it is bounded in count as well")
    func boundsCount() {
        let isTaken = DispatchSemaphore(value: 0)
        let mayGoOn = DispatchSemaphore(value: 0)
        let queue = BackgroundQueue<[UInt8]>("test", limit: 3, maximumBytes: 1_000, bytes: \.count) { _ in
            isTaken.signal()
            mayGoOn.wait()
        }
        queue.submit([])
        isTaken.wait()
        #expect((1...5).map { queue.submit([$0]) } == [true, true, true, false, false])
        #expect(queue.dropped == 2)
        for _ in 0..<2 { mayGoOn.signal() }
        queue.flush()
    }
}
