public import TandemAPI
public import TestSupport

/// Specs and changes of Services of all kinds, right and wrong, around a few addresses so that they meet.
public enum RandomService {
    public static let names = ["a", "b", "c", "d", "e"]

    /// Asked for by name: in and out of small ranges, odd spellings, words that are none.
    private static let addresses = [
        "10.96.0.1", "10.96.0.2", "10.96.0.6", "10.96.0.7", "10.97.0.1", "fd00:10:96::1", "fd00:10:96::2",
        "FD00:10:96::0003", "fd00:10:96::7", "fd00:10:97::1", "::ffff:10.96.0.3", "None", "none", "10.96.0.01", "",
    ]
    private static let families = ["IPv4", "IPv6", "IPv4", "IPv6", "IPv4", "IPv6", "ipv4"]
    private static let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"]
    private static let types = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]

    public static func spec(_ generator: inout SeededGenerator) -> JSONValue {
        var spec: JSONValue = [:]
        for member in members where chance(member.often, &generator) { spec[member.name] = member.value(&generator) }
        return spec
    }

    /// A merge patch: some members anew, some taken away.
    public static func change(_ generator: inout SeededGenerator) -> JSONValue {
        var change: JSONValue = [:]
        for member in members where chance(25, &generator) {
            change[member.name] = chance(35, &generator) ? .null : member.value(&generator)
        }
        return change
    }

    private struct Member {
        var name: String
        /// In how many of a hundred new specs.
        var often: Int
        var value: @Sendable (inout SeededGenerator) -> JSONValue
    }

    private static let members: [Member] = [
        Member(name: "type", often: 50) { .string(chance(3, &$0) ? "Nothing" : pick(types, &$0)) },
        Member(name: "ipFamilyPolicy", often: 60) { .string(chance(3, &$0) ? "" : pick(policies, &$0)) },
        Member(name: "ipFamilies", often: 40) { list(of: families, &$0) },
        Member(name: "clusterIP", often: 30) { .string(chance(30, &$0) ? "None" : pick(addresses, &$0)) },
        Member(name: "clusterIPs", often: 25) { chance(25, &$0) ? ["None"] : list(of: addresses, &$0) },
        Member(name: "selector", often: 70) { chance(80, &$0) ? ["app": "x"] : [:] },
        Member(name: "ports", often: 85) { generator in
            if chance(5, &generator) { return [] }
            return [chance(10, &generator) ? ["port": 80, "nodePort": 30_080] : ["port": 80]]
        },
        Member(name: "externalName", often: 30) { .string(chance(85, &$0) ? "db.example.com." : "not a name") },
    ]

    private static func list(of choices: [String], _ generator: inout SeededGenerator) -> JSONValue {
        let count = [0, 1, 1, 1, 2, 2, 2, 2, 3].randomElement(using: &generator) ?? 1
        return .array((0..<count).map { _ in .string(pick(choices, &generator)) })
    }

    private static func pick(_ choices: [String], _ generator: inout SeededGenerator) -> String {
        choices.randomElement(using: &generator) ?? ""
    }

    private static func chance(_ percent: Int, _ generator: inout SeededGenerator) -> Bool {
        Int.random(in: 0..<100, using: &generator) < percent
    }
}
