import KubeSupport
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import KubeAPI

@Suite("A collection and all its changes")
struct FollowTests {
    private func node(_ name: String) -> JSONValue { ["metadata": ["name": .string(name)]] }

    /// The events of a follower, in short.
    private final class Follower: Sendable {
        let server: FakeAPIServer
        let told = Noted<String>()
        let troubles = Noted<KubeTrouble>()
        private let task: Mutex<Task<Void, Never>?> = Mutex(nil)

        init(
            _ server: FakeAPIServer, _ clock: KubeClock = ManualClock().clock,
            change: (inout KubeConfiguration) -> Void = { _ in }
        )
            async throws
        {
            self.server = server
            var configuration = try server.configuration
            change(&configuration)
            let changes = KubeClient(configuration, clock: clock).follow(.nodes) { [troubles] in troubles.add($0) }
            task.withLock { [told] in
                $0 = Task {
                    for await change in changes { told.add(Self.text(change)) }
                    told.add("end")
                }
            }
        }

        deinit { cancel() }

        func cancel() { task.withLock { $0?.cancel() } }

        private static func text(_ change: KubeChange) -> String {
            func name(_ object: JSONValue) -> String { object["metadata"]?["name"]?.stringValue ?? "" }
            return switch change {
            case .replaced(let objects, _): "all: " + objects.map(name).joined(separator: " ")
            case .changed(let object): "+" + name(object)
            case .deleted(let object): "-" + name(object)
            case .bookmark: "bookmark"
            }
        }

        func hears(_ wanted: [String]) async {
            while told.all.count < wanted.count || server.watchCount == 0 { await Task.yield() }
            #expect(told.all == wanted)
        }

        /// The objects by all events.
        var known: [String] {
            var names: Set<String> = []
            for text in told.all {
                switch text.first {
                case "+": names.insert(String(text.dropFirst()))
                case "-": names.remove(String(text.dropFirst()))
                case "a": names = Set(text.split(separator: " ").dropFirst().map(String.init))
                default: break
                }
            }
            return names.sorted()
        }

        var lists: Int { server.requests.filter { $0.kind == "GET" && $0.query["limit"] == "500" }.count }
        var watches: Int { server.requests.filter(\.isWatch).count }
    }

    @Test("all that there is, and then each change; a watch that ends is followed by another, and not by a list")
    func changes() async throws {
        let server = try await FakeAPIServer()
        server.put("nodes", node("a"))
        let follower = try await Follower(server)
        await follower.hears(["all: a"])
        server.put("nodes", node("b"))
        await follower.hears(["all: a", "+b"])
        server.endWatches()
        server.remove("nodes", "a")
        await follower.hears(["all: a", "+b", "-a"])
        server.bookmark()
        await follower.hears(["all: a", "+b", "-a", "bookmark"])
        server.cutConnections()
        while follower.troubles.all.isEmpty { await Task.yield() }
        server.put("nodes", node("c"))
        await follower.hears(["all: a", "+b", "-a", "bookmark", "+c"])
        #expect(follower.lists == 1)
        #expect(follower.troubles.all.map(\.error.code) == [.connectionLost])
        follower.cancel()
        while follower.told.all.last != "end" { await Task.yield() }
    }

    @Test("a bookmark moves the version, from which the next watch goes on")
    func bookmarks() async throws {
        let server = try await FakeAPIServer()
        let follower = try await Follower(server)
        await follower.hears(["all: "])
        server.put("pods", node("p"))
        server.bookmark()
        await follower.hears(["all: ", "bookmark"])
        server.endWatches()
        while follower.watches < 2 { await Task.yield() }
        #expect(server.requests.last?.query["resourceVersion"] == String(server.version))
    }

    @Test(
        "a forgotten version leads to a new list: by a line, by a status, by silence",
        arguments: ["line", "status", "hang", "silence"])
    func relists(kind: String) async throws {
        let server = try await FakeAPIServer(FakeRules(isModern: kind != "silence"))
        server.put("nodes", node("a"))
        let time = ManualClock()
        let follower = try await Follower(server, time.clock) {
            // Too short for a machine that is busy at times: then it is listed once more than is looked for here.
            if kind == "hang" { $0.watchHeadTimeout = .milliseconds(500) }
            if kind == "silence" { $0.watchSilence = .milliseconds(500) }
        }
        while follower.told.all.isEmpty { await Task.yield() }
        // A watch that has told something goes on without a look.
        server.put("nodes", node("b"))
        while follower.known != ["a", "b"] { await Task.yield() }
        switch kind {
        case "line": server.fail(FakeFault(.goneLine, "WATCH"))
        case "status": server.fail(FakeFault(.refuse(410, reason: "Expired"), "WATCH"))
        default: server.rewind(to: 50)
        }
        server.endWatches()
        let code: KubeError.Code = kind == "hang" ? .timedOut : .gone
        while !follower.troubles.all.contains(where: { $0.error.code == code }) { await Task.yield() }
        while follower.lists < 2 { await Task.yield() }
        server.put("nodes", node("c"))
        while follower.known != ["a", "b", "c"] { await Task.yield() }
    }

    @Test("where nothing changes it is looked whether that is so, and nothing is listed again")
    func quiet() async throws {
        let server = try await FakeAPIServer()
        server.put("nodes", node("a"))
        let follower = try await Follower(server) { $0.watchSilence = .milliseconds(50) }
        func looks() -> Int { server.requests.filter { !$0.isWatch && $0.query["limit"] == "1" }.count }
        while looks() < 3 { await Task.yield() }
        #expect(follower.told.all == ["all: a"] && follower.troubles.all.isEmpty)
        server.put("nodes", node("b"))
        while follower.told.all != ["all: a", "+b"] { await Task.yield() }
    }

    @Test("an unreadable event leads to a new list, a torn line to a new watch")
    func faultyLines() async throws {
        let server = try await FakeAPIServer()
        let follower = try await Follower(server)
        await follower.hears(["all: "])
        server.fail(FakeFault(.tornLine(cutsConnection: true), "WATCH"))
        server.fail(FakeFault(.tornLine(cutsConnection: false), "WATCH"))
        server.endWatches()
        while follower.watches < 4 { await Task.yield() }
        while server.watchCount == 0 { await Task.yield() }
        #expect(follower.lists == 1)
        #expect(follower.troubles.all.map(\.error.code) == [.connectionLost, .connectionLost])
        server.fail(FakeFault(.line("{}"), "WATCH"))
        server.endWatches()
        await follower.hears(["all: ", "all: "])
        #expect(follower.lists == 2)
    }

    @Test("a server that is away, forbids or asks for patience is tried again, each time later")
    func backsOff() async throws {
        let server = try await FakeAPIServer()
        server.fail(FakeFault(.refuse(403, reason: "Forbidden"), "GET", count: 7))
        server.fail(FakeFault(.refuse(503, reason: "ServiceUnavailable", retryAfter: 60), "GET"))
        let time = ManualClock()
        let follower = try await Follower(server, time.clock)
        await follower.hears(["all: "])
        let troubles = follower.troubles.all
        #expect(troubles.map(\.error.code) == Array(repeating: .forbidden, count: 7) + [.unavailable])
        #expect(troubles.allSatisfy { $0.isListing && $0.collection == .nodes })
        #expect(
            troubles.map(\.pause)
                == [800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 60_000].map { .milliseconds($0) })
        // Not all at the same moment.
        for (pause, asked) in zip(time.pauses, troubles.map(\.pause)) {
            #expect(pause >= asked && pause <= asked * 1.25)
        }
    }

    @Test("watches that end at once are not begun again and again without a pause")
    func shortWatches() {
        var state = FollowState()
        #expect(state.step == .list)
        state.listed("5")
        #expect(state.step == .watch(from: "5"))
        state.begun()
        state.ended(after: .milliseconds(1))
        #expect(state.pause == .zero && state.step == .look)
        var isOfItsTime = state.looked("5")
        #expect(isOfItsTime && state.step == .watch(from: "5"))
        state.begun()
        state.ended(after: .milliseconds(1))
        #expect(state.pause == .milliseconds(1_600))
        isOfItsTime = state.looked("4")
        #expect(!isOfItsTime && state.step == .list)
        state.listed("4")
        state.begun()
        state.told(nil)
        state.ended(after: .seconds(300))
        #expect(state.pause == .zero && state.step == .watch(from: "4"))
        state.told("9")
        #expect(state.step == .watch(from: "9"))
        state.told(nil)
        #expect(state.step == .watch(from: "9"))
    }

    @Test("a server that forgets at once each time is not asked without a pause")
    func goneAgain() {
        var state = FollowState()
        let gone = KubeError(.gone, "too old")
        state.listed("5")
        state.failed(gone, hasBegun: true)
        #expect(state.step == .list && state.pause == .zero)
        state.listed("6")
        state.failed(gone, hasBegun: true)
        #expect(state.step == .list && state.pause == .milliseconds(1_600))
        // Lists alone heal nothing.
        state.listed("7")
        state.failed(gone, hasBegun: true)
        #expect(state.pause == .milliseconds(3_200))
        state.listed("8")
        state.told("9")
        state.failed(gone, hasBegun: true)
        #expect(state.pause == .zero)
    }

    @Test(
        "the faults after which a watch begins from its version again, and the others",
        arguments: [
            (KubeError.Code.connectionLost, true, true), (.notReached, false, true), (.timedOut, true, true),
            (.timedOut, false, false),
            (.unauthorized, false, true), (.forbidden, false, true), (.tooManyRequests, false, true),
            (.unavailable, false, true),
            (.gatewayTimeout, false, true), (.gone, true, false), (.gone, false, false),
            (.malformedAnswer, true, false),
            (.tooLarge, true, false), (.badRequest, false, false), (.invalid, false, false),
        ])
    func goesOn(code: KubeError.Code, hasBegun: Bool, keepsVersion: Bool) {
        var state = FollowState()
        state.listed("5")
        state.failed(KubeError(code, "as the test wishes"), hasBegun: hasBegun)
        #expect(state.step == (keepsVersion ? .watch(from: "5") : .list))
    }
}
