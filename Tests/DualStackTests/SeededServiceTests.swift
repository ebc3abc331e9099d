import Addressing
import DualStack
import ServiceDecisions
import TandemAPI
import TestSupport
import Testing

/// The rules against their second statement, on ranges small enough to run full.
@Suite("The rules agree with their table")
struct SeededServiceTests {
    private static let ranges = [
        ["10.96.0.0/30"], ["fd00:10:96::/126"], ["10.96.0.0/30", "fd00:10:96::/126"],
        ["fd00:10:96::/126", "10.96.0.0/30"],
    ]

    @Test("creates, updates, releases and changes of the cluster, at random", arguments: seeds)
    func agrees(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var ranges = Self.ranges.randomElement(using: &generator) ?? []
        let rules = RulesAlone(ranges, nodePorts: nil)
        var table = ServiceTable(clusterFamilies: [])
        var pools = SetPools(ranges, table)
        table.clusterFamilies = pools.families
        var outcomes: [String: Int] = [:]

        for step in 0..<4_000 {
            let name = RandomService.names.randomElement(using: &generator) ?? ""
            let (outcome, expected): (TableOutcome, TableOutcome)
            var story =
                "seed \(seed), step \(step), \(name) on \(ranges), was \(table.services[name].map { "\($0)" } ?? "not there")"
            switch Int.random(in: 0..<100, using: &generator) {
            case ..<35:
                let spec = RandomService.spec(&generator)
                story += ", create \(spec.text)"
                outcome = TableOutcome(rules.create(Self.service(name, spec)))
                expected = table.create(name, TableSpec(spec), &pools)
            case ..<85:
                let live = Self.live(rules, name)
                let isNew = Int.random(in: 0..<10, using: &generator) == 0
                let spec =
                    isNew
                    ? RandomService.spec(&generator)
                    : (live?["spec"] ?? [:]).merging(RandomService.change(&generator))
                story += ", update \(spec.text)"
                let isStale = Int.random(in: 0..<20, using: &generator) == 0
                let version = isStale ? "0" : live?["metadata"]?["resourceVersion"]?.stringValue ?? ""
                outcome = TableOutcome(rules.replace(Self.service(name, spec, version)))
                expected = table.update(name, TableSpec(spec), isStale: isStale, &pools)
            case ..<96:
                let held = table.services[name]?.clusterIPs.filter { $0 != "None" }.count ?? 0
                try #require(rules.release(name) == held, "\(story)")
                _ = table.delete(name, &pools)
                (outcome, expected) = (.notFound, .notFound)
            default:
                ranges = Self.ranges.randomElement(using: &generator) ?? []
                rules.restart(ranges)
                pools = SetPools(ranges, table)
                table.clusterFamilies = pools.families
                (outcome, expected) = (.notFound, .notFound)
            }
            outcomes[expected.word, default: 0] += 1
            try #require(outcome == expected, "\(story)")
            let inUse = rules.addressesInUse
            try #require(inUse.pools == Set(inUse.services) && inUse.pools.count == inUse.services.count, "\(story)")
            try #require(inUse.pools == pools.taken, "\(story)")
            let stored = Self.live(rules, name).map { TableSpec($0["spec"] ?? [:]) }
            try #require(stored == table.services[name], "\(story)")
        }
        for word in ["done", "invalid", "full", "conflict", "exists"] {
            #expect(outcomes[word, default: 0] > 10, "too few outcomes \(word) to say anything: \(outcomes)")
        }
    }

    private static func service(_ name: String, _ spec: JSONValue, _ version: String? = nil) -> JSONValue {
        var metadata: JSONValue = ["name": .string(name)]
        metadata["resourceVersion"] = version.map { .string($0) }
        return ["metadata": metadata, "spec": spec]
    }

    private static func live(_ rules: RulesAlone, _ name: String) -> JSONValue? {
        if case .service(let service) = rules.get(name) { service } else { nil }
    }
}

extension TableSpec {
    init(_ spec: JSONValue) {
        func strings(_ name: String) -> [String] { (spec[name]?.arrayValue ?? []).compactMap(\.stringValue) }
        self.init()
        type = spec["type"]?.stringValue
        policy = spec["ipFamilyPolicy"]?.stringValue
        families = strings("ipFamilies")
        clusterIP = spec["clusterIP"]?.stringValue ?? ""
        clusterIPs = strings("clusterIPs")
        hasSelector = !(spec["selector"]?.objectValue?.members.isEmpty ?? true)
        ports = spec["ports"]?.arrayValue?.map { $0["nodePort"] != nil }
        externalName = spec["externalName"]?.stringValue ?? ""
    }
}

extension TableOutcome {
    init(_ answer: DecisionAnswer) {
        switch answer {
        case .service(let service): self = .done(TableSpec(service["spec"] ?? [:]))
        case .refused("RESOURCE_EXHAUSTED", let family): self = .rangeFull(family: family.first ?? "")
        case .refused("ABORTED", _): self = .conflict
        case .refused("ALREADY_EXISTS", _): self = .alreadyExists
        case .refused("NOT_FOUND", _): self = .notFound
        case .refused(_, let causes):
            let parts = causes.map { $0.split(separator: " ").map(String.init) }
            self = .invalid(parts.map { TableCause(field: $0[0], reason: $0[1]) }.sorted())
        }
    }

    var word: String {
        switch self {
        case .done: "done"
        case .invalid: "invalid"
        case .rangeFull: "full"
        case .conflict: "conflict"
        case .alreadyExists: "exists"
        case .notFound: "missing"
        }
    }
}

/// The table's pools: the same plain sets that the rules are tried with.
struct SetPools: TablePools {
    let families: [String]
    private var pools: [IPFamily: SetPool] = [:]

    init(_ ranges: [String], _ table: ServiceTable) {
        let ranges = ranges.compactMap { CIDR($0) }
        families = ranges.map(\.family.description)
        for range in ranges { pools[range.family] = SetPool(range: range) }
        for address in table.services.values.flatMap(\.clusterIPs).compactMap({ IPAddress(zeroPadded: $0) }) {
            pools[address.family]?.take(address)
        }
    }

    var taken: Set<IPAddress> { pools.values.reduce(into: []) { $0.formUnion($1.taken) } }

    func isConfigured(_ family: String) -> Bool { families.contains(family) }

    mutating func draw(_ family: String) -> String? {
        guard let family = IPFamily(family), let address = pools[family]?.firstFree else { return nil }
        pools[family]?.take(address)
        return address.description
    }

    mutating func take(_ address: String) -> TableTake {
        guard let parsed = IPAddress(zeroPadded: address), let pool = pools[parsed.family] else { return .outOfRange }
        switch pool.failure(parsed) {
        case .taken: return .inUse
        case .outOfRange: return .outOfRange
        case nil:
            pools[parsed.family]?.take(parsed)
            return .taken
        }
    }

    mutating func giveBack(_ address: String) {
        if let parsed = IPAddress(zeroPadded: address) { pools[parsed.family]?.giveBack(parsed) }
    }
}
