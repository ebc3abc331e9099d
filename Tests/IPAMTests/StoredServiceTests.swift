import Addressing
import Foundation
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Services in memory")
struct StoredServiceTests {
    private static let (v4, v6, other) = (
        IPAddress("10.96.0.9")!, IPAddress("fd00:10:96::9")!, IPAddress("10.96.255.200")!
    )

    /// Made of the members that a `SpecHead` knows, of others, and of some that look like them.
    private func spec(_ pick: ([String]) -> String) -> String {
        let (first, second) = (pick(["10.96.0.9", "fd00:10:96::9", "None", "10.96.000.9"]), "fd00:10:96::9")
        let members = [
            pick(["", #""type":"ClusterIP""#, #""type":"ExternalName""#, #""type":"Odd""#, #""type":"NodePort""#]),
            pick([
                "", #""ipFamilyPolicy":"RequireDualStack""#, #""ipFamilyPolicy":"SingleStack""#,
                #""ipFamilyPolicy":"""#,
            ]),
            pick(["", #""ipFamilies":["IPv4","IPv6"]"#, #""ipFamilies":["IPv6"]"#, #""ipFamilies":["IPv4","IPv4"]"#]),
            pick([
                "", #""clusterIP":"\#(first)","clusterIPs":["\#(first)"]"#, #""clusterIP":"None""#,
                #""clusterIP":"\#(first)","clusterIPs":["\#(first)","\#(second)"]"#,
                #""clusterIP":"\#(first)","clusterIPs":["\#(second)"]"#,
            ]),
            pick([
                "", #""ports":[{"port":80}]"#, #""ports":[{"nodePort":30000}]"#, #""ports":[{"\u006eodePort":30000}]"#,
                #""ports":[{"name":"\"}],\"x","port":80}]"#,
            ]),
            pick([
                "", #""selector":{"app":"web"}"#, #""sessionAffinity":"None""#, #""x":{"spec":{"type":"ClusterIP"}}"#,
            ]),
        ]
        return "{\(members.filter { !$0.isEmpty }.joined(separator: ","))}"
    }

    @Test(
        "whatever the document and the request, they come back byte by byte, and so do all other facts",
        arguments: seeds)
    func keepsEverything(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        func pick<Value>(_ values: [Value]) -> Value { values.randomElement(using: &generator)! }
        var plain = 0
        for step in 0..<1_000 {
            let (namespace, name) = (pick(["default", "a", "a/b"]), pick(["web", "näme", #"x\"y"#, ""]))
            let uid = pick(["u", "", "0f0e0d0c-0b0a-4908-a706-050403020100", "0F0e0d0c-0b0a-4908-a706-050403020100"])
            // Of a document with the member twice.
            let known = pick([uid, uid, uid, "0f0e0d0c-0b0a-4908-a706-050403020101"])
            let created = pick(["2026-11-24T08:50:37Z", "2026-11-24T08:50:37+01:00", "yesterday"])
            let asked = spec(pick)
            let spec = pick([asked, spec(pick)])
            let status = pick([#"{"loadBalancer":{}}"#, #"{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}"#])
            let labels = pick(["", #","labels":{"a":"b"}"#, #","x":{},"spec":{"type":"ClusterIP"}"#])
            let before =
                #"{"apiVersion":"v1","kind":"Service","metadata":{"namespace":\#(quoted(namespace)),"name":\#(quoted(name)),"uid":"\#(uid)""#
            let behind = #","creationTimestamp":"\#(created)"\#(labels)},"spec":\#(spec),"status":\#(status)}"#
            let document = pick([before + behind, before + behind, "{}", ""])
            let request = pick([asked, asked, "", "[1]", #"{"x":"\#(String(repeating: "y", count: 1100))"}"#])
            var service = Service(metadata: ObjectMeta(namespace: namespace, name: name, uid: Written(known)))
            service.metadata.creationTimestamp = Written(pick([created, created, "2026-11-24T08:50:38Z"]))
            var holdings: [Holding] = pick([
                [], [Holding(pool: .serviceIP, address: Self.v4)], [.port(.udp, 30_000)],
                [Self.v4, Self.v6].map { Holding(pool: .serviceIP, address: $0) },
                [Self.v6, Self.v4].map { Holding(pool: .recordedIP, address: $0) },
                [
                    Holding(pool: .nodeCIDR, range: CIDR("fd00::/48")!),
                    Holding(pool: .nodeCIDR, range: CIDR("10.0.0.0/8")!),
                ],
            ])
            if Bool.random(using: &generator) { holdings.append(.port(.sctp, 65_535)) }
            let isUIDGiven = Bool.random(using: &generator)
            let stored = StoredService(
                service, key: StoredService.key(namespace, name),
                ServiceContext(request: Array(request.utf8), isUIDGiven: isUIDGiven), holding: holdings,
                document: Array(document.utf8), version: UInt64(step))
            #expect(text(stored.document) == document)
            #expect(stored.documentCount == document.utf8.count)
            #expect(text(stored.request) == request)
            #expect(stored.holdings == holdings)
            #expect(Array(stored.addresses) == holdings.compactMap(\.address))
            #expect(
                stored.uid.description == known && stored.isUIDGiven == isUIDGiven && stored.version == UInt64(step))
            #expect(stored.key == "\(namespace)/\(name)")
            #expect(
                stored.isIn(namespace) && !stored.isIn(namespace + "x") && !stored.isIn(String(namespace.dropLast())))
            if !namespace.contains("/") { #expect(stored.namespace == namespace && stored.name == name) }
            // The document shows no port.
            let kept = holdings.compactMap(\.port).map { "\"nodePort/\($0)\"" }.joined(separator: ",")
            let end = kept.isEmpty ? "" : #","kept":[\#(kept)]}"#
            if document == before + behind {
                let shown = kept.isEmpty ? behind : String(behind.dropLast())
                #expect(text(stored.served) == before + #","resourceVersion":"\#(step)""# + shown + end)
                if stored.byteCount < 200 { plain += 1 }
            }
        }
        #expect(plain > 5)
    }

    /// Names and uids with escapes, members that look like the document's own parts: a cut at a wrong place would show.
    @Test(
        "a Service that was written here comes back byte by byte, in as little memory as one that was read",
        arguments: seeds)
    func keepsWritten(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        func pick<Value>(_ values: [Value]) -> Value { values.randomElement(using: &generator)! }
        var plain = 0
        for step in 0..<1_000 {
            var service = try Documents.decode(Array(#"{"spec":\#(spec(pick))}"#.utf8)) { reader throws(JSONError) in
                try Service(from: &reader)
            }
            service.metadata = ObjectMeta(
                namespace: pick(["default", "a", ""]), name: pick(["web", "näme", #"x\"y"#, ""]))
            service.metadata.uid = pick([
                nil, "u", #"u""#, #""""""#, "0f0e0d0c-0b0a-4908-a706-050403020100",
                "0F0e0d0c-0b0a-4908-a706-050403020100",
            ])
            service.metadata.creationTimestamp = pick([nil, "2026-11-24T08:50:37Z", "yesterday"])
            for member in ["labels", "x", "spec", #"a"b"#] where Bool.random(using: &generator) {
                let value = pick([#"{"a":"b"}"#, "{}", #""},"spec":{""#, #"{},"spec":{}"#])
                service.metadata.others[member] = (try? JSONValue(parsing: Array(value.utf8)))?.text
            }
            if pick([true, false]) { service.status.ingress = [Self.other] }
            if pick([true, false, false]) { service.others["y"] = .emptyObject }
            let holdings = pick([
                [], [Holding(pool: .serviceIP, address: Self.v4)],
                [Self.v4, Self.v6].map { Holding(pool: .serviceIP, address: $0) },
                [Self.v6, Self.v4].map { Holding(pool: .serviceIP, address: $0) },
            ])
            let document = Documents.encode(service.write)
            let context = ServiceContext(request: Array("{}".utf8), isUIDGiven: false)
            let stored = [true, false].map { isWritten in
                StoredService(
                    service, key: StoredService.key(service.metadata), context, holding: holdings, document: document,
                    version: UInt64(step), isWritten: isWritten)
            }
            #expect(text(stored[0].document) == text(document))
            #expect(text(stored[0].served) == text(stored[1].served))
            #expect(stored[0].byteCount <= stored[1].byteCount, "\(text(document))")
            if stored[0].byteCount < document.count - 100 { plain += 1 }
        }
        #expect(plain > 20)
    }

    @Test("an ordinary Service takes some 200 bytes, however long its document")
    func isSmall() throws {
        let key = "default/payments-frontend"
        let spec =
            #""type":"ClusterIP","ipFamilyPolicy":"RequireDualStack","ipFamilies":["IPv4","IPv6"],"clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9","fd00:10:96::9"]"#
        let others = #""ports":[{"port":80,"protocol":"TCP"}],"selector":{"app":"payments"}"#
        let document =
            #"{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"default","name":"payments-frontend","#
            + #""uid":"0f0e0d0c-0b0a-4908-a706-050403020100","creationTimestamp":"2026-11-24T08:50:37Z"},"#
            + #""spec":{\#(spec),\#(others)},"status":{"loadBalancer":{}}}"#
        let service = try Documents.decode(Array(document.utf8)) { reader throws(JSONError) in
            try Service(from: &reader)
        }
        let stored = StoredService(
            service, key: key, ServiceContext(request: Array("{\(others)}".utf8), isUIDGiven: false),
            holding: [Self.v4, Self.v6].map { Holding(pool: .serviceIP, address: $0) }, document: Array(document.utf8))
        #expect(text(stored.document) == document)
        // Holdings, uid, time of creation, and the members that are not in the head, once.
        #expect(stored.byteCount == 24 + 16 + 4 + 1 + others.utf8.count)
    }

    private func quoted(_ text: String) -> String { self.text(Documents.encode { $0.string(text) }) }
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
