import Addressing
import FaultyLog
import Foundation
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Every row of the Fields article, by its text: a row without a check, and a check without a row, are faults.
@Suite("Fields that bear on addresses")
struct FieldTests {
    private struct Answers {
        let harness: EngineHarness

        func call(_ method: TandemAPI.Method, _ params: String) async throws -> Result<JSONValue, APIError> {
            await harness.call(method, try JSONValue(parsing: Array(params.utf8)))
        }

        func service(_ metadata: String, _ spec: String = "", _ more: String = "") async throws -> Result<
            JSONValue, APIError
        > {
            try await call(
                .allocateServiceIPs, #"{"service":{"metadata":{\#(metadata)},"spec":{\#(spec)}\#(more)}}"#)
        }

        func update(_ metadata: String, _ spec: String = "") async throws -> Result<JSONValue, APIError> {
            try await call(.updateServiceIPs, #"{"service":{"metadata":{\#(metadata)},"spec":{\#(spec)}}}"#)
        }

        func node(_ metadata: String, _ spec: String = "", _ more: String = "") async throws -> Result<
            JSONValue, APIError
        > {
            try await call(.allocateNodeCIDRs, #"{"node":{"metadata":{\#(metadata)},"spec":{\#(spec)}\#(more)}}"#)
        }

        func pod(_ metadata: String, _ spec: String, _ more: String = "", adopt: Bool = false) async throws -> Result<
            JSONValue, APIError
        > {
            try await call(
                .allocatePodIPs, #"{"pod":{"metadata":{\#(metadata)},"spec":{\#(spec)}\#(more)},"adopt":\#(adopt)}"#)
        }
    }

    private typealias Check = @Sendable (Answers) async throws -> Bool

    private static func field(_ result: Result<JSONValue, APIError>) -> String? {
        if case .failure(let error) = result { error.causes.first?.field } else { nil }
    }

    private static func status(_ result: Result<JSONValue, APIError>) -> APIError.Status? {
        if case .failure(let error) = result { error.status } else { nil }
    }

    private static func ips(_ result: Result<JSONValue, APIError>) throws -> [String] {
        (try result.get()["service"]?["spec"]?["clusterIPs"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    private static func ingress(_ result: Result<JSONValue, APIError>) throws -> [String] {
        (try result.get()["service"]?["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? [])
            .compactMap { $0["ip"]?.stringValue }
    }

    private static func all(_ checks: Bool...) -> Bool { !checks.contains(false) }

    private static let ports = #""ports":[{"port":80}]"#
    private static let gone = #""deletionTimestamp":"2024-01-02T03:04:05Z""#

    private static let checks: [(field: String, check: Check)] = serviceChecks + nodeChecks + podChecks

    private static let serviceChecks: [(field: String, check: Check)] = [
        ("Service metadata.name", { field(try await $0.service(#""name":"1web""#)) == nil }),
        (
            "Service metadata.generateName",
            { field(try await $0.service(#""generateName":"web-""#)) == "metadata.name" }
        ),
        (
            "Service metadata.uid",
            {
                let made = try await $0.service(#""name":"a","uid":"u1""#).get()["service"]?["metadata"]?["uid"]
                return all(
                    made == "u1", status(try await $0.service(#""name":"a","uid":"u2""#)) == .alreadyExists,
                    status(try await $0.update(#""name":"a","uid":"u2""#)) == .aborted)
            }
        ),
        (
            "Service metadata.resourceVersion",
            {
                _ = try await $0.service(#""name":"a","resourceVersion":"99""#, ports).get()
                return all(
                    status(try await $0.update(#""name":"a","resourceVersion":"99""#, ports)) == .aborted,
                    status(try await $0.update(#""name":"a","resourceVersion":"0""#, ports)) == nil)
            }
        ),
        (
            "Service metadata.deletionTimestamp",
            { try ips(await $0.service(#""name":"a",\#(gone)"#)).count == 1 }
        ),
        (
            "Service metadata.annotations",
            {
                let asked = try await $0.service(
                    #""name":"a","annotations":{"metallb.io/loadBalancerIPs":"192.0.2.3"}"#,
                    #""type":"LoadBalancer",\#(ports)"#
                )
                return try ingress(asked) == ["192.0.2.3"]
            }
        ),
        (
            "Service spec.type",
            {
                let name = #""type":"ExternalName","externalName":"example.com""#
                let balancer = try await $0.service(#""name":"b""#, #""type":"LoadBalancer",\#(ports)"#)
                return try await all(
                    ips($0.service(#""name":"a""#, name)).isEmpty, ips(balancer).count == 1,
                    ingress(balancer).count == 1)
            }
        ),
        (
            "Service spec.clusterIP",
            {
                let given = try await $0.service(#""name":"a""#, #""clusterIP":"10.96.000.007""#)
                let taken = try await $0.service(#""name":"b""#, #""clusterIP":"10.96.0.7""#)
                return try all(
                    ips(given) == ["10.96.000.007"], field(taken) == "spec.clusterIPs",
                    $0.harness.engine.lookup(IPAddress("10.96.0.7")!).owner?.name == "a")
            }
        ),
        (
            "Service spec.ipFamilies",
            {
                let both = try await $0.service(
                    #""name":"a""#, #""ipFamilyPolicy":"PreferDualStack","ipFamilies":["IPv6"]"#)
                return try ips(both).map { $0.contains(":") } == [true, false]
            }
        ),
        (
            "Service spec.selector",
            {
                let bare = try await $0.service(#""name":"a""#, #""clusterIP":"None""#).get()
                let selecting = try await $0.service(#""name":"b""#, #""clusterIP":"None","selector":{"a":"b"}"#).get()
                return all(
                    bare["service"]?["spec"]?["ipFamilies"]?.arrayValue?.count == 2,
                    selecting["service"]?["spec"]?["ipFamilies"]?.arrayValue?.count == 1)
            }
        ),
        (
            "Service spec.externalName",
            { field(try await $0.service(#""name":"a""#, #""type":"ExternalName""#)) == "spec.externalName" }
        ),
        (
            "Service spec.externalIPs",
            {
                let asked = #""clusterIP":"10.96.0.5","externalIPs":["10.96.0.9"]"#
                let made = try await $0.service(#""name":"a""#, asked).get()
                return all(
                    made["service"]?["spec"]?["externalIPs"]?.arrayValue?.count == 1,
                    $0.harness.engine.lookup(IPAddress("10.96.0.9")!).owner?.name == nil)
            }
        ),
        (
            "Service spec.loadBalancerIP",
            {
                let asked = #""type":"LoadBalancer","loadBalancerIP":"192.0.2.5",\#(ports)"#
                return try await all(
                    ingress($0.service(#""name":"a""#, asked)) == ["192.0.2.5"],
                    field(try await $0.service(#""name":"b""#, asked)) == "spec.loadBalancerIP")
            }
        ),
        (
            "Service spec.loadBalancerClass",
            {
                let classed = #""type":"LoadBalancer","loadBalancerClass":"a/b",\#(ports)"#
                let none = try await ingress($0.service(#""name":"a""#, classed))
                let changed = try await $0.update(#""name":"a""#, #""type":"LoadBalancer",\#(ports)"#)
                let plain = try await $0.service(#""name":"b""#, #""loadBalancerClass":"a/b""#)
                return all(
                    none.isEmpty, field(changed) == "spec.loadBalancerClass", field(plain) == "spec.loadBalancerClass")
            }
        ),
        (
            "Service spec.ports",
            {
                let asked = #""type":"NodePort","ports":[{"port":80,"nodePort":30080}]"#
                let drawn = try await $0.service(#""name":"a""#, #""type":"NodePort",\#(ports)"#).get()
                let port = drawn["service"]?["spec"]?["ports"]?.arrayValue?.first?["nodePort"]?.intValue ?? 0
                _ = try await $0.service(#""name":"b""#, asked).get()
                return all(
                    (30000...30100).contains(port),
                    field(try await $0.service(#""name":"c""#, asked)) == "spec.ports[0].nodePort")
            }
        ),
        (
            "Service spec.allocateLoadBalancerNodePorts",
            {
                let spec = #""type":"LoadBalancer","allocateLoadBalancerNodePorts":false,\#(ports)"#
                let made = try await $0.service(#""name":"a""#, spec).get()["service"]
                return made?["spec"]?["ports"]?.arrayValue?.first?["nodePort"] == nil
            }
        ),
        (
            "Service spec.healthCheckNodePort",
            {
                let spec =
                    #""type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":30099,\#(ports)"#
                let made = try await $0.service(#""name":"a""#, spec).get()["service"]
                return all(
                    made?["spec"]?["healthCheckNodePort"]?.intValue == 30099,
                    field(try await $0.service(#""name":"b""#, spec)) == "spec.healthCheckNodePort")
            }
        ),
        (
            "Service spec.externalTrafficPolicy",
            {
                let spec = #""type":"LoadBalancer","externalTrafficPolicy":"Local",\#(ports)"#
                let local = try await $0.service(#""name":"a""#, spec).get()["service"]?["spec"]
                let plain = try await $0.service(#""name":"b""#, #""type":"LoadBalancer",\#(ports)"#).get()["service"]
                return all(
                    local?["healthCheckNodePort"]?.intValue != nil, plain?["spec"]?["healthCheckNodePort"] == nil)
            }
        ),
        (
            "Service status.loadBalancer.ingress",
            {
                let shown = #","status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.1"}]}}"#
                let made = try await $0.service(#""name":"a""#, #""type":"LoadBalancer",\#(ports)"#, shown)
                return try all(ingress(made) != ["198.51.100.1"], ingress(made).count == 1)
            }
        ),
    ]

    private static let nodeChecks: [(field: String, check: Check)] = [
        (
            "Node metadata.name",
            {
                let dotted = try await $0.node(#""name":"n1.example.com""#)
                return try await all(field($0.node(#""name":"N1""#)) == "metadata.name", field(dotted) == nil)
            }
        ),
        (
            "Node metadata.uid",
            {
                _ = try await $0.node(#""name":"n1""#).get()
                let given = try await $0.node(#""name":"n1","uid":"u1""#).get()["node"]?["metadata"]?["uid"]
                return try await all(given == "u1", status($0.node(#""name":"n1","uid":"u2""#)) == .alreadyExists)
            }
        ),
        (
            "Node spec.podCIDR",
            {
                let given = try await $0.node(#""name":"n1""#, #""podCIDR":"10.244.0.16/28""#).get()
                let cidrs = given["node"]?["spec"]?["podCIDRs"]?.arrayValue?.compactMap(\.stringValue)
                let differing = try await $0.node(
                    #""name":"n2""#, #""podCIDR":"10.244.0.16/28","podCIDRs":["10.244.0.32/28"]"#)
                return try await all(
                    cidrs?.first == "10.244.0.16/28", status(differing) == .invalidArgument,
                    field($0.node(#""name":"n3""#, #""podCIDR":"10.244.0.16/28""#)) == "spec.podCIDRs[0]")
            }
        ),
        (
            "Node status.addresses",
            {
                let shown = #","status":{"addresses":[{"type":"InternalIP","address":"10.96.0.3"}]}"#
                let made = try await $0.node(#""name":"n1""#, "", shown).get()
                return all(
                    made["node"]?["status"]?["addresses"]?.arrayValue?.count == 1,
                    $0.harness.engine.lookup(IPAddress("10.96.0.3")!).owner?.name == nil)
            }
        ),
    ]

    private static func podIPs(_ result: Result<JSONValue, APIError>) throws -> [String] {
        (try result.get()["pod"]?["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
    }

    private static let onNode = #""nodeName":"n1""#

    private static let podChecks: [(field: String, check: Check)] = [
        (
            "Pod metadata.name",
            {
                let dotted = try await $0.pod(#""name":"a.b""#, onNode)
                return try await all(field($0.pod(#""name":"A""#, onNode)) == "metadata.name", field(dotted) == nil)
            }
        ),
        (
            "Pod metadata.generateName",
            { field(try await $0.pod(#""generateName":"web-""#, onNode)) == "metadata.name" }
        ),
        (
            "Pod metadata.uid",
            {
                let first = try await podIPs($0.pod(#""name":"a","uid":"u1""#, onNode))
                return try await all(
                    podIPs($0.pod(#""name":"a","uid":"u2""#, onNode)) != first,
                    podIPs($0.pod(#""name":"a","uid":"u1""#, onNode)) == first)
            }
        ),
        ("Pod metadata.deletionTimestamp", { try podIPs(await $0.pod(#""name":"a",\#(gone)"#, onNode)).count == 2 }),
        ("Pod spec.nodeName", { field(try await $0.pod(#""name":"a""#, "")) == "spec.nodeName" }),
        (
            "Pod spec.hostNetwork",
            { try await $0.pod(#""name":"a""#, #"\#(onNode),"hostNetwork":true"#).get()["held"] == false }
        ),
        (
            "Pod status.phase",
            { try await $0.pod(#""name":"a""#, onNode, #","status":{"phase":"Failed"}"#).get()["held"] == false }
        ),
        (
            "Pod status.podIP",
            {
                let asked = #","status":{"podIP":"10.244.0.5","podIPs":[{"ip":"10.244.0.5"}]}"#
                let first = try await $0.pod(#""name":"a""#, onNode, asked)
                let second = try await $0.pod(#""name":"b""#, onNode, asked)
                return try await all(
                    podIPs(first).first == "10.244.0.5", field(second) == "status.podIPs[0].ip",
                    $0.pod(#""name":"c""#, onNode, adopt: true).get()["held"] == false)
            }
        ),
        (
            "Pod status.hostIP",
            {
                let shown = #","status":{"hostIP":"10.96.0.3","hostIPs":[{"ip":"10.96.0.3"}]}"#
                let made = try await $0.pod(#""name":"a""#, onNode, shown).get()
                return all(
                    made["pod"]?["status"]?["hostIP"] == "10.96.0.3",
                    $0.harness.engine.lookup(IPAddress("10.96.0.3")!).owner?.name == nil)
            }
        ),
    ]

    @Test("each is treated as its row says", arguments: checks.map(\.field))
    func doesWhatItsRowSays(_ field: String) async throws {
        var cluster = ClusterConfiguration.small
        cluster.nodePortRange = 30000...30100
        let harness = try EngineHarness(FaultyLog(), cluster)
        let check = try #require(Self.checks.first { $0.field == field })
        #expect(try await check.check(Answers(harness: harness)))
        harness.stop()
    }

    @Test("the article has a row for each, and no other")
    func matchesTheArticle() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let article = root.appending(path: "Sources/TandemServer/Documentation.docc/Fields.md")
        var kind = ""
        var rows: [String] = []
        for line in try String(contentsOf: article, encoding: .utf8).split(separator: "\n") {
            if line.hasPrefix("## ") { kind = String(line.dropFirst(3)) }
            guard line.hasPrefix("| `"), let field = line.split(separator: "`").dropFirst().first else { continue }
            rows.append("\(kind) \(field)")
        }
        #expect(rows == Self.checks.map(\.field))
    }
}
