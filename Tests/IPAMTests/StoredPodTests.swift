import Addressing
import Foundation
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Pods in memory")
struct StoredPodTests {
    private static let node = StoredNode(
        "n1", [CIDR("10.244.0.0/24")!, CIDR("fd00:10:244::/64")!], version: 1)

    private func stored(
        _ document: String, _ addresses: [IPAddress], version: UInt64 = 7, container: String = "c1"
    ) throws -> StoredPod {
        try StoredPod(
            PodIdentity(Attachment(containerID: container)), on: Self.node, addresses: addresses, version: version,
            document: Array(document.utf8))
    }

    @Test(
        "whatever the document, it comes back byte by byte but for its version, which is put in when it is served, and the parts are those that it says",
        arguments: seeds)
    func keepsDocuments(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        func pick<Value>(_ values: [Value]) -> Value { values.randomElement(using: &generator)! }
        for step in 0..<500 {
            let version = UInt64.random(in: 0...UInt64.max, using: &generator)
            let addresses = pick([
                [IPAddress("10.244.0.9")!, IPAddress("fd00:10:244::9")!], [IPAddress("fd00:10:244::a:1")!],
                [IPAddress("fd00:10:244::2")!, IPAddress("10.244.0.2")!], [IPAddress("10.244.0.200")!],
            ])
            var pod = Pod(
                metadata: ObjectMeta(
                    namespace: pick(["default", "a"]), name: pick(["web", "name with \"quotes\"", "näme", "x\\"]),
                    uid: pick([
                        nil, "", "u", "0f0e0d0c-0b0a-4908-a706-050403020100", "0F0e0d0c-0b0a-4908-a706-050403020100",
                    ])),
                nodeName: pick(["n1", "n2"]), podIPs: pick([addresses, [], addresses.reversed()]))
            pod.metadata.creationTimestamp = pick([nil, "2026-11-24T08:50:37Z", "2026-11-24t08:50:37Z", "yesterday"])
            // Before 1.1 the version was stored, and then it was the right one.
            let wasOld = Bool.random(using: &generator)
            if wasOld, pod.metadata.uid != nil { pod.metadata.resourceVersion = "\(version)" }
            if Int.random(in: 0..<4, using: &generator) == 0 {
                let labels = try JSONValue(parsing: Array(#"{"app":"web"}"#.utf8)).text
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: pod.metadata.others["labels"] = labels
                case 1: pod.specOthers["x"] = labels
                case 2: pod.statusOthers["x"] = labels
                default: pod.others["x"] = labels
                }
            }
            let document = Documents.encode(pod.write)
            pod.metadata.resourceVersion = nil
            let unversioned = Documents.encode(pod.write)
            let container = pick([
                "c1", String(repeating: "0f", count: 32), String(repeating: "0F", count: 32),
                String(repeating: "a9", count: 31),
            ])
            let stored = try stored(
                String(decoding: document, as: UTF8.self), addresses, version: version, container: container)
            #expect(
                String(decoding: stored.document, as: UTF8.self) == String(decoding: unversioned, as: UTF8.self),
                "seed \(seed), step \(step)")
            if pod.metadata.uid != nil {
                pod.metadata.resourceVersion = "\(version)"
                let served = String(decoding: stored.served, as: UTF8.self)
                #expect(served == String(decoding: Documents.encode(pod.write), as: UTF8.self))
            }
            let read = try Documents.decode(document) { reader throws(JSONError) in try Pod(from: &reader) }
            #expect(stored.namespace == read.metadata.namespace)
            #expect(stored.name == read.metadata.name)
            #expect(stored.nameKey == "\(read.metadata.namespace)/\(read.metadata.name)")
            #expect(stored.uid == read.metadata.uid ?? "")
            #expect(stored.addresses == addresses)
            #expect(stored.version == version)
            #expect(stored.key == "@n1/container/\(container)/eth0")
            #expect(stored.identity == PodIdentity(Attachment(containerID: container)))
            #expect(stored.withOrigin { String(decoding: $0, as: UTF8.self) } == "container/\(container)")
        }
    }

    @Test("the members that the engine fills in, and no others, are the plain form")
    func knowsThePlainForm() {
        let plain =
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"default","name":"web","uid":"u","resourceVersion":"7","creationTimestamp":"2026-11-24T08:50:37Z"},"spec":{"nodeName":"n1"},"status":{"podIP":"10.244.0.9","podIPs":[{"ip":"10.244.0.9"},{"ip":"fd00:10:244::9"}]}}"#
        func isPlain(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { PodText($0) != nil } }
        #expect(isPlain(plain))
        for index in plain.indices where "{}[],".contains(plain[index]) {
            var cut = plain
            cut.remove(at: index)
            #expect(!isPlain(cut), "\(cut)")
        }
        for length in 0..<plain.utf8.count { #expect(!isPlain(String(plain.prefix(length)))) }
        #expect(!isPlain(plain + " "))
        #expect(!isPlain(""))
        #expect(!isPlain(plain.replacingOccurrences(of: "web", with: #"\u0077eb"#)))
    }
}
