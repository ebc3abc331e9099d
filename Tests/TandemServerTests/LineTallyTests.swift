import Measures
import NIOCore
import Testing

@testable import TandemServer

@Suite("Lines that callers bring about")
struct LineTallyTests {
    private typealias Tally = LineTally<String>

    @Test("the first has a line at once; then one a second stands for all since the one before, for each key")
    func standsForAll() {
        var tally = Tally()
        var now: UInt64 = 1_000
        func note(_ key: String = "a") -> Int? { tally.note(key, Moment(nanoseconds: now))?.count }
        #expect(note() == 1)
        for _ in 0..<10 { #expect(note() == nil) }
        #expect(note("b") == 1)
        now += Tally.interval - 1
        #expect(note() == nil)
        now += 1
        #expect(note() == 12)
        #expect(note() == nil)
        now += 5 * Tally.interval
        #expect(note() == 2)
        #expect(note("b") == 1)
    }

    @Test("however many keys there are, lines are bounded each second, and all events are told in the end")
    func isBounded() {
        var tally = Tally()
        var told = 0
        var events = 0
        for second in 0..<20 {
            var lines = 0
            for index in 0..<5_000 {
                events += 1
                // Keys that come again, and such as come once.
                let key = index % 10 == 0 ? "again \(index % 100)" : "\(second) \(index)"
                let now = UInt64(second) * Tally.interval + UInt64(index) * Tally.interval / 5_000
                guard let line = tally.note(key, Moment(nanoseconds: now)) else { continue }
                lines += 1
                told += line.count
            }
            #expect(lines <= 2 * Tally.maximumKeys + 2, "\(lines)")
        }
        // Long after all of that: whatever waits is told by those that come now, and the room there is goes round.
        for second in 30..<33 {
            for index in 0...Tally.maximumKeys {
                events += 1
                told +=
                    tally.note("late \(second) \(index)", Moment(nanoseconds: UInt64(second) * Tally.interval))?.count
                    ?? 0
            }
        }
        #expect(told == events, "\(told) of \(events)")
    }

    @Test("strangers are told apart by address, of IPv6 by network; they take no room from known identities")
    func tellsCallersApart() throws {
        func caller(_ address: String, _ port: Int = 1) throws -> LineLimits.Caller {
            LineLimits.Caller(try SocketAddress(ipAddress: address, port: port))
        }
        #expect(try caller("192.0.2.1") == caller("192.0.2.1", 2))
        #expect(try caller("192.0.2.1") == caller("::ffff:192.0.2.1"))
        #expect(try caller("192.0.2.1") != caller("192.0.2.2"))
        #expect(try caller("2001:db8::1") == caller("2001:db8::2"))
        #expect(try caller("2001:db8::1") != caller("2001:db8:0:1::1"))
        let lines = LineLimits()
        let now = Moment(nanoseconds: 5)
        for number in 0..<10_000 { _ = lines.note("refused", .stranger(UInt64(number)), now) }
        #expect(lines.note("refused", .user("a"), now) == TalliedLine(count: 1, isOfOthers: false))
        #expect(lines.note("other", .user("a"), now) == TalliedLine(count: 1, isOfOthers: false))
        #expect(lines.note("refused", .user("a"), now) == nil)
        #expect(lines.suppressedLines == UInt64(10_000 - LineTally<Int>.maximumKeys - 1) + 1)
    }
}
