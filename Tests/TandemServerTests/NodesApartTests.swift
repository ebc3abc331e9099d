import Addressing
import FaultyLog
import IPAM
import Measures
import NIOCore
import NIOEmbedded
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@testable import TandemServer

/// The contract for a node's agent: it neither changes nor learns anything of other nodes.
///
/// Two agents do all that they may, and much that they may not, with the same names, uids, containers and addresses. Each one's answers are
/// then the same as where the other does nothing, byte for byte but for versions: so no answer, list or message tells of the other,
/// by its words or by its kind.
@Suite("Nodes apart")
struct NodesApartTests {
    private static let nodes = ["alpha", "bravo"]

    // MARK: Calls of agents

    /// Params of one call, as text, so that members may come twice. Of each kind several, at random.
    private typealias Row = @Sendable (_ own: String, _ other: String, inout SeededGenerator) -> String

    private static func pick(_ words: [String], _ random: inout SeededGenerator) -> String {
        words.randomElement(using: &random) ?? ""
    }

    /// Few names, so that all of them meet.
    private static func metadata(_ random: inout SeededGenerator) -> String {
        let uid = pick(["", "", #","uid":"u1""#, #","uid":"u2""#], &random)
        let namespace = pick(["", #","namespace":"shop""#], &random)
        return #"{"name":"\#(pick(["p1", "p2", "p3"], &random))"\#(namespace)\#(uid)}"#
    }

    private static func nodeName(_ own: String, _ other: String, _ random: inout SeededGenerator) -> String {
        pick(
            [
                own, own, own, own, own, own, other, other.uppercased(), "\(other).", " \(other)", "",
                #"\u0062ravo"#, #"\u0061lpha"#, "nowhere",
            ], &random)
    }

    private static func attachment(_ random: inout SeededGenerator, _ more: [String]) -> String {
        let interface = pick(["", #","ifName":"eth0""#, #","ifName":"net1""#, #","ifName":"a0""#], &random)
        return #"{"containerID":"\#(pick(["c1", "c2", "c3"], &random))"\#(interface)\#(pick(more, &random))}"#
    }

    private static func spec(_ own: String, _ other: String, _ random: inout SeededGenerator) -> String {
        let named = #""spec":{"nodeName":"\#(nodeName(own, other, &random))"}"#
        return pick(
            [
                named, named, named, named, #""spec":{}"#, #""spec":{"nodeName":"\#(other)"},\#(named)"#,
                #""spec":{"nodeName":"\#(other)","nodeName":"\#(own)"}"#, #"\#(named),"spec":null"#,
            ], &random)
    }

    private static func dryRun(_ random: inout SeededGenerator) -> String {
        pick(["", "", "", #","dryRun":true"#], &random)
    }

    /// All methods there are: a method without a row fails the test.
    private static let rows: [TandemAPI.Method: Row] = [
        .allocateServiceIPs: { _, _, random in #"{"service":{"metadata":\#(metadata(&random)),"spec":{}}}"# },
        .updateServiceIPs: { _, _, random in #"{"service":{"metadata":\#(metadata(&random)),"spec":{}}}"# },
        .getService: { _, _, random in #"{"service":{"metadata":\#(metadata(&random))}}"# },
        .listServices: { _, _, _ in "{}" },
        .allocateNodeCIDRs: { own, other, random in
            let name = nodeName(own, other, &random)
            let uid = pick(["", #","uid":"node-uid""#, #","uid":"other-uid""#], &random)
            let cidrs = pick(
                [
                    "", #","spec":{"podCIDRs":["10.244.1.0/24","fd00:10:244:1::/64"]}"#,
                    #","spec":{"podCIDR":"10.244.0.0/24"}"#,
                ],
                &random)
            let adopt = pick(["", "", #","adopt":true"#], &random)
            return #"{"node":{"metadata":{"name":"\#(name)"\#(uid)}\#(cidrs)}\#(adopt)\#(dryRun(&random))}"#
        },
        .getNode: { own, other, random in #"{"node":{"metadata":{"name":"\#(nodeName(own, other, &random))"}}}"# },
        .listNodes: { _, _, _ in "{}" },
        .allocatePodIPs: { own, other, random in
            let addresses = pick(
                [
                    "", "", "", #","status":{"podIPs":[{"ip":"10.244.0.9"}]}"#,
                    #","status":{"podIPs":[{"ip":"10.244.1.9"}]}"#,
                    #","status":{"podIPs":[{"ip":"fd00:10:244:1::9"},{"ip":"10.244.1.10"}]}"#,
                ], &random)
            let pod = #"{"metadata":\#(metadata(&random)),\#(spec(own, other, &random))\#(addresses)}"#
            let attached =
                #","attachment":\#(attachment(&random, ["", "", #","nodeName":"\#(own)""#, #","nodeName":"\#(other)""#]))"#
            let families = pick(["", "", #","ipFamilies":["IPv6"]"#], &random)
            let adopt = pick(["", "", "", "", "", #","adopt":true"#], &random)
            return
                #"{"pod":\#(pod)\#(pick(["", attached, attached], &random))\#(families)\#(adopt)\#(dryRun(&random))}"#
        },
        .getPod: { own, other, random in
            #"{"pod":{"metadata":\#(metadata(&random)),\#(spec(own, other, &random))}}"#
        },
        .listPods: { own, other, random in
            let more = pick(
                ["", #","namespace":"shop""#, #","limit":2"#, #","limit":1,"continue":"3.10.244.0.3""#], &random)
            return pick(
                [
                    "{}", #"{"nodeName":"\#(nodeName(own, other, &random))"\#(more)}"#,
                    #"{"nodeName":"\#(own)"\#(more)}"#,
                ], &random)
        },
        .release: { own, other, random in
            let node = pick(["", "", #","spec":{"nodeName":"\#(nodeName(own, other, &random))"}"#], &random)
            let pod = #"{"pod":{"metadata":\#(metadata(&random))\#(node)}\#(dryRun(&random))}"#
            let attached = attachment(
                &random,
                [
                    "", #","nodeName":"\#(own)""#, #","nodeName":"\#(other)""#, #","nodeName":"\#(own)","podUID":"u1""#,
                    #","podUID":"u2""#,
                ])
            let attachment = #"{"attachment":\#(attached)\#(dryRun(&random))}"#
            return pick(
                [
                    pod, pod, attachment, attachment, #"{"node":{"metadata":{"name":"\#(other)"}},"force":true}"#,
                    #"{"service":{"metadata":\#(metadata(&random))}}"#,
                    #"{"pod":{"metadata":{"name":"p1"}},"attachment":{"containerID":"c1"}}"#,
                ], &random)
        },
        .checkNode: { own, other, random in #"{"node":{"metadata":{"name":"\#(nodeName(own, other, &random))"}}}"# },
        .lookupIP: { _, _, random in
            pick([#"{"ip":"10.244.0.9"}"#, #"{"ip":"10.244.1.9"}"#, #"{"cidr":"10.244.0.0/16"}"#], &random)
        },
        .getPools: { own, other, random in #"{"nodeName":"\#(nodeName(own, other, &random))"}"# },
        .getPoolMap: { own, other, random in #"{"pool":"pods-\#(nodeName(own, other, &random))-ipv4"}"# },
        .watch: { own, other, random in
            let kinds = pick(
                ["", #","kinds":["Pod"]"#, #","kinds":["Service"]"#, #","kinds":["Node","Pod"]"#], &random)
            return #"{"nodeName":"\#(nodeName(own, other, &random))"\#(kinds)}"#
        },
        .unwatch: { _, _, _ in #"{"subscription":"1"}"# },
        .discover: { _, _, _ in "{}" },
    ]

    /// A message: mostly one call, at times a batch.
    static func message(_ own: String, _ other: String, _ random: inout SeededGenerator) -> String {
        func call(_ id: Int) -> String {
            // The calls that change most: the others are refused, or read.
            let weighed: [TandemAPI.Method] = [
                .allocatePodIPs, .allocatePodIPs, .allocatePodIPs, .release, .getPod, .listPods,
            ]
            let method = (Bool.random(using: &random) ? weighed : TandemAPI.Method.allCases).randomElement(
                using: &random)
            guard let method, let row = rows[method] else { return "{}" }
            let params = row(own, other, &random)
            return #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method.rawValue)","params":\#(params)}"#
        }
        guard Int.random(in: 0..<8, using: &random) == 0 else { return call(0) }
        // The order of calls on one name in a batch is that of the batch, but their view of one another is not specified.
        return "[\(call(0))]"
    }

    /// The calls of a client of Services meanwhile, with addresses of nodes' among others.
    private static func serviceMessage(_ random: inout SeededGenerator) -> String {
        let address = pick(["", "", "10.244.1.9", "10.96.0.7"], &random)
        let spec = address.isEmpty ? "{}" : #"{"clusterIP":"\#(address)"}"#
        let name = #""metadata":{"name":"\#(pick(["p1", "p2", "p3"], &random))"}"#
        let (method, params) =
            [
                ("AllocateServiceIPs", #"{"service":{\#(name),"spec":\#(spec)}}"#),
                ("UpdateServiceIPs", #"{"service":{\#(name),"spec":\#(spec)}}"#),
                ("GetService", #"{"service":{\#(name)}}"#),
                ("ListServices", "{}"), ("Release", #"{"service":{\#(name)}}"#),
                ("Release", #"{"pod":{\#(name)}}"#), ("GetPod", #"{"pod":{\#(name)}}"#),
            ].randomElement(using: &random) ?? ("", "")
        return #"{"jsonrpc":"2.0","id":0,"method":"\#(method)","params":\#(params)}"#
    }

    // MARK: Servers

    /// A server without sockets, from a message's bytes to its answer's, on one thread.
    private final class Served {
        private let engine: Engine
        private let service: RPCService
        private let loop = EmbeddedEventLoop()
        private let sessions: [RPCSession]
        /// The answers of each client, in order.
        let answers: [Noted<String>]
        private var sent: [Int]

        init(_ clients: [Identity]) throws {
            var cluster = ClusterConfiguration(
                serviceRanges: [CIDR("10.96.0.0/24")!],
                clusterCIDRs: [CIDR("10.244.0.0/20")!, CIDR("fd00:10:244::/60")!])
            cluster.podIPReuseDelaySeconds = 60
            // Chance is the same every time, so that it tells nothing; and time stands still.
            engine = try Engine(
                cluster: cluster, log: FaultyLog(),
                environment: Environment(random: { 0x1234_5678_9ABC_DEF0 }, now: { 1_800_000_000 }, uptime: { 0 }),
                stepsByHand: true)
            service = RPCService(serving: engine)
            let queue = LoopQueue(loop) { Moment(nanoseconds: 0) }
            sessions = clients.map { [loop] identity in
                RPCSession(
                    identity: identity, eventLoop: loop, peer: nil, budget: BufferBudget(maximumBytes: 1 << 24),
                    queue: queue)
            }
            answers = clients.map { _ in Noted() }
            sent = clients.map { _ in 0 }
        }

        deinit { engine.stop() }

        /// Sends a message, whose answer may come later.
        func send(_ text: String, from client: Int) {
            let (session, answers) = (sessions[client], answers[client])
            sent[client] += 1
            let bytes = Array(text.utf8)
            let message = bytes.withUnsafeBytes { service.parse($0, from: session) }
            service.handle(message, of: bytes.count, from: session) { reply in
                answers.add(Self.masked(String(decoding: reply?.bytes ?? [], as: UTF8.self)))
                session.release(reply?.bytes.count ?? 0)
            }
        }

        /// Goes on until the client has all of its answers.
        func wait(for client: Int) {
            while answers[client].all.count < sent[client] {
                engine.step()
                loop.run()
            }
        }

        /// Versions are counted for all objects together.
        private static func masked(_ answer: String) -> String { answer.withoutVersions }
    }

    private static let clients =
        nodes.map { Identity(user: "system:node:\($0)", groups: ["system:nodes"]) } + [
            Identity(user: "services", groups: ["tandem:services"]), .administrator,
        ]

    /// Runs the messages of some clients, each of which waits for its answer before it sends again, but not for the others'.
    private static func run(_ script: [(client: Int, message: String)], of clients: Set<Int>) throws -> [[String]] {
        let served = try Served(Self.clients)
        // Each node has its CIDRs before: the first to register gets the first.
        for name in nodes {
            let params = #"{"node":{"metadata":{"name":"\#(name)"}}}"#
            served.send(#"{"jsonrpc":"2.0","id":0,"method":"AllocateNodeCIDRs","params":\#(params)}"#, from: 3)
            served.wait(for: 3)
        }
        for (client, message) in script where clients.contains(client) {
            served.wait(for: client)
            served.send(message, from: client)
        }
        for client in clients { served.wait(for: client) }
        return served.answers.map(\.all)
    }

    private static func script(_ seed: UInt64) -> [(client: Int, message: String)] {
        var random = SeededGenerator(seed: seed)
        return (0..<200).map { _ in
            let client = Int.random(in: 0..<3, using: &random)
            guard client < 2 else { return (client, serviceMessage(&random)) }
            return (client, message(nodes[client], nodes[1 - client], &random))
        }
    }

    @Test("every method has a row here")
    func coversAllMethods() {
        for method in TandemAPI.Method.allCases { #expect(Self.rows[method] != nil, "\(method.rawValue)") }
    }

    @Test(
        "each agent's answers are the same as without the other's calls, and those of a client of Services",
        arguments: seeds)
    func areApart(_ seed: UInt64) throws {
        var kinds: Set<String> = []
        for round in 0..<16 {
            let script = Self.script(seed &+ UInt64(round) << 32)
            let together = try Self.run(script, of: [0, 1, 2])
            for client in 0..<3 {
                let messages = script.filter { $0.client == client }.map(\.message)
                let alone = try Self.run(script, of: [client])[client]
                for (index, message) in messages.enumerated() where together[client][index] != alone[index] {
                    Issue.record(
                        "round \(round), client \(client): \(message)\n  together \(together[client][index])\n  alone    \(alone[index])"
                    )
                    return
                }
                guard client < 2 else { continue }
                for (message, answer) in zip(messages, together[client]) {
                    let other = Self.nodes[1 - client]
                    if !message.lowercased().contains(other.dropFirst()) { #expect(!answer.contains(other)) }
                    kinds.insert(Self.kind(message, answer))
                }
            }
        }
        // The calls meet the intended states.
        for kind in ["AllocatePodIPs", "Release", "GetPod", "ListPods", "AllocateNodeCIDRs", "GetNode", "CheckNode"] {
            #expect(kinds.contains("\(kind) ok") && kinds.contains("\(kind) PERMISSION_DENIED"), "\(kind)")
        }
        #expect(kinds.contains("AllocatePodIPs ALREADY_EXISTS") && kinds.contains("GetPod NOT_FOUND"))
    }

    private static func kind(_ message: String, _ answer: String) -> String {
        let method = TandemAPI.Method.allCases.first { message.contains(#""\#($0.rawValue)""#) }?.rawValue ?? ""
        let status = answer.firstMatch(of: /"status":"([A-Z_]+)"/)
        return "\(method) \(status.map { String($0.1) } ?? "ok")"
    }
}

extension String {
    fileprivate var withoutVersions: String {
        replacing(/"resourceVersion":"[0-9]+"/, with: "version").replacing(
            /"continue":"[0-9]+(-[0-9]+)?\./, with: "place")
    }

    /// Nor the random numbers of a real server, and its time of day.
    fileprivate var withoutChance: String {
        withoutVersions.replacing(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/, with: "uid")
            .replacing(/"creationTimestamp":"[^"]*"/, with: "time")
    }
}

/// The same of real servers and certificates: one agent over the stream, the other over HTTP and the stream.
@Suite("Nodes apart over sockets", .serialized)
struct NodesApartOverSocketsTests {
    private static let nodes = ["n1", "n2"]

    private struct Client {
        let stream: LineStream
        let http: Curl

        init(_ port: Int, _ role: String) throws {
            (stream, http) = (try LineStream(port: port, role: role), Curl(port: port, role: role))
        }

        func answer(_ message: String, overHTTP: Bool) -> String {
            if overHTTP { return http.rpc(message).body.withoutChance }
            var answer = stream.exchange(message)
            // Events of a watch come at any time.
            while answer.contains(#""method":"watch""#) { answer = stream.receiveLine() }
            return answer.withoutChance
        }
    }

    private static func answers(
        _ script: [(client: Int, message: String, overHTTP: Bool)], of clients: Set<Int>
    ) throws -> [[String]] {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let administrator = try LineStream(port: server.port)
        for name in nodes {
            _ = administrator.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": .string(name)]]])
        }
        let agents = try nodes.map { try Client(server.port, "node-\($0)") }
        var answers: [[String]] = [[], []]
        for (client, message, overHTTP) in script where clients.contains(client) {
            answers[client].append(agents[client].answer(message, overHTTP: overHTTP))
        }
        #expect(server.stop() == 0)
        return answers
    }

    @Test("each agent's answers are the same as without the other's calls")
    func areApart() throws {
        var random = SeededGenerator(seed: 17)
        let script = (0..<400).map { _ in
            let client = Int.random(in: 0..<2, using: &random)
            let message = NodesApartTests.message(Self.nodes[client], Self.nodes[1 - client], &random)
            return (client, message, client == 0 && Int.random(in: 0..<4, using: &random) == 0)
        }
        let together = try Self.answers(script, of: [0, 1])
        for client in 0..<2 {
            let alone = try Self.answers(script, of: [client])[client]
            let messages = script.filter { $0.0 == client }.map { $0.1 }
            for (index, message) in messages.enumerated() {
                #expect(together[client][index] == alone[index], "\(Self.nodes[client]): \(message)")
            }
            let kinds = [#""podIPs""#, "PERMISSION_DENIED"].map { kind in alone.count { $0.contains(kind) } }
            #expect(kinds.allSatisfy { $0 > 5 }, "\(kinds) of \(alone.count), \(alone.count(where: \.isEmpty)) empty")
        }
    }
}
