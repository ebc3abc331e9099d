import FaultyLog
import Ledger
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// The history of changes, beside one that keeps everything and is looked through from the start.
@Suite("History of changes")
struct ChangeHistoryTests {
    /// One object's change, as a slow reader of all entries sees it.
    private struct SlowEvent: Equatable {
        var version: UInt64
        var type: String
        var kind: String
        var namespace: String
        var nodeName: String?
        var object: JSONValue

        init(_ event: WatchEvent) throws {
            let json = try JSONValue(parsing: event.text)
            version = event.version
            #expect(json["resourceVersion"]?.stringValue == String(version))
            type = json["type"]?.stringValue ?? ""
            object = json["object"] ?? .null
            kind = object["kind"]?.stringValue ?? ""
            namespace = object["metadata"]?["namespace"]?.stringValue ?? ""
            nodeName =
                kind == "Node" ? object["metadata"]?["name"]?.stringValue : object["spec"]?["nodeName"]?.stringValue
        }

        var name: String { "\(kind) \(namespace)/\(object["metadata"]?["name"]?.stringValue ?? "")" }

        func isWanted(_ query: WatchQuery) -> Bool {
            guard let kind = ObjectKind(rawValue: kind), query.kinds.contains(KindSet(kind)) else {
                return false
            }
            if let wanted = query.nodeName, wanted != nodeName { return false }
            if let wanted = query.namespace, wanted != namespace { return false }
            return true
        }
    }

    /// Changes of a few objects at random, such as books may get.
    private static func change(_ random: inout SeededGenerator) -> Change {
        let number = Int.random(in: 0..<4, using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return .put(service: "s\(number)", ["10.96.0.\(number + 1)"])
        case 1: return .delete(ObjectKey(.service, "default/s\(number)"))
        case 2: return .put(node: "n\(number)", ["10.244.0.\(16 * number)/28"])
        case 3: return .delete(ObjectKey(.node, "n\(number)"))
        case 4: return .delete(.pod("p\(number)", on: "n\(number)"))
        default:
            let host = 16 * number + Int.random(in: 2..<5, using: &random)
            return .put(pod: "p\(number)", on: "n\(number)", ["10.244.0.\(host)"])
        }
    }

    /// Every object, as it is listed.
    private static func objects(_ books: Books) throws -> Set<JSONValue> {
        var all = try books.services.page(after: nil, limit: .max).items.map { try JSONValue(parsing: $0.served) }
        all += try books.nodes.page(after: nil, limit: .max).items.map { try JSONValue(parsing: $0.record.served) }
        all += try books.pods(after: nil, limit: 5000, namespace: nil).items.map { try JSONValue(parsing: $0.shown) }
        return Set(all)
    }

    private static func query(_ random: inout SeededGenerator) -> WatchQuery {
        var query = WatchQuery()
        if Bool.random(using: &random) {
            query.kinds = KindSet(rawValue: [1, 2, 8, 3, 10].randomElement(using: &random) ?? 1)
        }
        if Int.random(in: 0..<3, using: &random) == 0 { query.nodeName = "n\(Int.random(in: 0..<5, using: &random))" }
        if Int.random(in: 0..<3, using: &random) == 0 {
            query.namespace = ["default", "defaul", "other"].randomElement(using: &random)
        }
        return query
    }

    @Test(
        "readers at any place get the changes since, each once and in order, or an expiry; equal books give equal events",
        arguments: 1...12)
    func tellsChanges(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let (books, small) = (Books(.small, historyBytes: 1 << 26), Books(.small, historyBytes: 20_000))
        var all: [SlowEvent] = []
        var states: [String: JSONValue] = [:]
        var (expired, told) = (0, 0)
        for _ in 0..<300 {
            let proposal = Proposal((0..<Int.random(in: 1...3, using: &random)).map { _ in Self.change(&random) })
            _ = books.apply(proposal)
            _ = small.apply(proposal)
            // Nothing is left out between two versions, and the changes told add up to the stored objects.
            let new = try #require(read(books, after: UInt64(all.count), WatchQuery(), &random)).map {
                try SlowEvent($0)
            }
            #expect(new.map(\.version) == Array(UInt64(all.count) + 1..<books.version + 1))
            for event in new {
                let before = states[event.name]
                switch event.type {
                case "ADDED": #expect(before == nil)
                case "MODIFIED": #expect(before != nil)
                default: #expect(before == event.object, "a deletion carries the last state")
                }
                states[event.name] = event.type == "DELETED" ? nil : event.object
            }
            all += new
            #expect(Set(states.values) == (try Self.objects(books)))

            #expect(small.history.size.bytes <= 20_000)
            let first = small.version + 1 - UInt64(small.history.size.events)
            let place = UInt64.random(in: (books.version > 60 ? books.version - 60 : 0)...books.version, using: &random)
            let query = Self.query(&random)
            guard let found = read(small, after: place, query, &random) else {
                #expect(place + 1 < first, "\(place) is kept from \(first) on")
                expired += 1
                continue
            }
            #expect(place + 1 >= first)
            #expect(try found.map { try SlowEvent($0) } == all.filter { $0.version > place && $0.isWanted(query) })
            told += found.count
        }
        #expect(told > 0 && expired > 0)
        #expect(!small.history.reaches(back: small.version + 1))
        #expect(small.history.reaches(back: small.version))
    }

    /// In pieces of any size; nil where some are gone.
    private func read(
        _ books: Books, after version: UInt64, _ query: WatchQuery, _ random: inout SeededGenerator
    ) -> [WatchEvent]? {
        let end = books.history.newest
        guard books.history.reaches(back: version) else { return nil }
        var (found, place) = ([WatchEvent](), version)
        while place < end {
            let limit = Int.random(in: 1...300, using: &random)
            guard
                let (events, through) = books.history.events(
                    after: place, through: end, upTo: limit, where: { query.wants($0) })
            else { return nil }
            #expect(through > place && events.count <= limit)
            (found, place) = (found + events, through)
        }
        return found
    }

    @Test("after a start there are the unfolded changes, and none of before")
    func beginsWithTail() throws {
        var tables = StoredTables()
        tables.apply(Proposal([.put(service: "a", ["10.96.0.1"])]))
        let tail = [
            Proposal([.put(service: "b", ["10.96.0.2"])]), Proposal([.delete(ObjectKey(.service, "default/a"))]),
        ]
        let books = try Books(.small, loading: StoredLog(tables: tables, tail: tail))
        #expect(books.history.newest == 3)
        #expect(!books.history.reaches(back: 0))
        let events = try #require(books.history.events(after: 1, through: 3) { _ in true }?.events)
        #expect(
            try events.map { try SlowEvent($0) }.map { "\($0.version) \($0.type) \($0.name)" } == [
                "2 ADDED Service default/b", "3 DELETED Service default/a",
            ])
        let empty = try Books(.small, loading: StoredLog(tables: tables))
        #expect(empty.history.reaches(back: 1) && !empty.history.reaches(back: 0) && !empty.history.reaches(back: 2))
    }

    @Test("an event is written once for all readers")
    func writesOnce() throws {
        let books = Books(.small, historyBytes: 1 << 20)
        #expect(books.apply(Proposal([.put(service: "a", ["10.96.0.1"])])) == nil)
        let first = try #require(books.history.events(after: 0, through: 1) { _ in true }?.events.first)
        let second = try #require(books.history.events(after: 0, through: 1) { _ in true }?.events.first)
        #expect(first === second)
        let (one, two) = (first.text, second.text)
        #expect(one.withUnsafeBytes(\.baseAddress) == two.withUnsafeBytes(\.baseAddress))
    }

    @Test("the log's thread wakes a listener once for new changes, and not without any")
    func wakes() {
        let books = Books(.small, historyBytes: 1 << 20)
        let wakes = Atomic<Int>(0)
        books.history.listen { wakes.wrappingAdd(1, ordering: .relaxed) }
        books.history.wake()
        #expect(wakes.load(ordering: .relaxed) == 0)
        _ = books.apply(Proposal([.put(service: "a", ["10.96.0.1"])]))
        _ = books.apply(Proposal([.put(service: "b", ["10.96.0.2"])]))
        books.history.wake()
        books.history.wake()
        #expect(wakes.load(ordering: .relaxed) == 1)
    }
}

extension Books {
    fileprivate convenience init(_ cluster: ClusterConfiguration, historyBytes: Int) {
        self.init(
            pools: Pools(cluster), podUsage: PodUsage(clusterCIDRs: cluster.clusterCIDRs),
            history: ChangeHistory(maximumBytes: historyBytes), coolingEnd: { 60 })
    }
}
