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
        _ document: String, _ addresses: Few<IPAddress>, version: UInt64 = 7, container: String = "c1",
        on node: StoredNode = node
    ) throws -> StoredPod {
        try StoredPod(
            PodIdentity(Attachment(containerID: container)), on: node, addresses: addresses, version: version,
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
            let addresses: Few<IPAddress> = pick([
                [IPAddress("10.244.0.9")!, IPAddress("fd00:10:244::9")!], [IPAddress("fd00:10:244::a:1")!],
                [IPAddress("fd00:10:244::2")!, IPAddress("10.244.0.2")!], [IPAddress("10.244.0.200")!],
                [IPAddress("10.244.0.10")!, IPAddress("fd00:11:244::9")!],
            ])
            var pod = Pod(
                metadata: ObjectMeta(
                    namespace: pick(["default", "a"]),
                    name: pick([
                        "web", "name with \"quotes\"", "näme", "x\\", String(repeating: "long", count: 64),
                    ]),
                    uid: pick([
                        nil, "", "u", "0f0e0d0c-0b0a-4908-a706-050403020100", "0F0e0d0c-0b0a-4908-a706-050403020100",
                    ])),
                nodeName: pick(["n1", "n2"]), podIPs: pick([addresses, [], Few(addresses.reversed())]))
            pod.metadata.creationTimestamp = pick([
                nil, "2026-11-24T08:50:37Z", "2026-11-24T08:50:37Z", "2026-11-24t08:50:37Z", "yesterday",
            ])
            let container = pick([
                "c1", String(repeating: "0f", count: 32), String(repeating: "0F", count: 32),
                String(repeating: "a9", count: 31), String(repeating: "long", count: 64),
            ])
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
            if Bool.random(using: &generator) {
                pod.metadata.others["annotations"] = try JSONValue(
                    parsing: Array(annotations(of: container, using: &generator).utf8)
                ).text
            }
            let document = Documents.encode(pod.write)
            pod.metadata.resourceVersion = nil
            let unversioned = Documents.encode(pod.write)
            let stored = try stored(
                String(decoding: document, as: UTF8.self), addresses, version: version, container: container)
            // The engine makes pods of its own addresses, nodes and allowed names.
            let isMade =
                pod.podIPs == WrittenList(addresses) && pod.nodeName == "n1"
                && pod.metadata.name.utf8.allSatisfy { $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
            let made = StoredPod(
                PodIdentity(Attachment(containerID: container)), on: Self.node, addresses: addresses, pod,
                document: unversioned, isUIDGiven: false)
            for stored in isMade ? [stored, made] : [stored] {
                #expect(
                    String(decoding: stored.document, as: UTF8.self) == String(decoding: unversioned, as: UTF8.self),
                    "seed \(seed), step \(step)")
                #expect(stored.addresses == addresses)
            }
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

    private func annotations(of container: String, using generator: inout SeededGenerator) -> String {
        func pick(_ values: [String]) -> String { values.randomElement(using: &generator)! }
        let attachment = pick([container, container, container, "c2"]) + pick(["/eth0", "/eth0", "/eth0", "/net1"])
        let network = pick(["pods", "pods", "other", "", #"\"quoted\""#, #"pods\"}"#, "nätwork"])
        let note = #""tandem-cni/attachment":"\#(attachment)","tandem-cni/network":"\#(network)""#
        return pick([
            "{\(note)}", "{\(note)}", "{\(note)}", #"{\#(note),"more":"x"}"#, #"{"a":"}},{[\\","b":[1,{"c":null}]}"#,
            #"{"tandem-cni/network":"pods"}"#, "{}", "null", "12", #""text""#,
            #"{"long":"\#(String(repeating: "x", count: 300))"}"#,
        ])
    }

    @Test("what tandem-cni notes at a pod takes no memory beyond the pod's own")
    func keepsNotesSmall() throws {
        let container = String(repeating: "0f", count: 32)
        let node = StoredNode("n1", [CIDR("10.244.0.0/24")!], version: 1)
        func document(_ annotations: String) -> String {
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"default","name":"web","uid":"u","creationTimestamp":"2026-11-24T08:50:37Z"\#(annotations)},"spec":{"nodeName":"n1"},"status":{"podIP":"10.244.0.9","podIPs":[{"ip":"10.244.0.9"}]}}"#
        }
        func stored(_ annotations: String) throws -> StoredPod {
            try self.stored(document(annotations), [IPAddress("10.244.0.9")!], container: container, on: node)
        }
        let bare = try stored("")
        let noted = try stored(
            #","annotations":{"tandem-cni/attachment":"\#(container)/eth0","tandem-cni/network":"pods"}"#)
        #expect(noted.keptByteCount == bare.keptByteCount)
        #expect(bare.keptByteCount < 70)
        let other = #","labels":{"app":"web"}"#
        #expect(try stored(other).keptByteCount == bare.keptByteCount + other.utf8.count)
    }

    @Test("a member of the metadata that the engine fills in does not come twice in the plain form")
    func refusesKnownMembers() {
        for name in ["namespace", "name", "uid", "resourceVersion", "creationTimestamp", "other"] {
            let text =
                #"{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"default","name":"web","uid":"u","creationTimestamp":"2026-11-24T08:50:37Z","labels":{},"\#(name)":"x"},"spec":{"nodeName":"n1"},"status":{"podIP":"10.244.0.9","podIPs":[{"ip":"10.244.0.9"}]}}"#
            let isPlain = Array(text.utf8).withUnsafeBytes { PodText($0) != nil }
            #expect(isPlain == (name == "other"), "\(name)")
        }
    }

    @Test("a time is packed where it is one of the calendar, in the form of the text, and comes back")
    func packsTimes() {
        func packed(_ text: String) -> UInt32? {
            Array(text.utf8).withUnsafeBytes { CreationTime(canonical: $0)?.seconds }
        }
        func text(_ seconds: UInt32) -> String {
            CreationTime(seconds: seconds).text
        }
        let formatter = ISO8601DateFormatter()
        var generator = SeededGenerator(seed: 5)
        var samples: [UInt32] = [
            0, 68_169_599, 68_169_600, 951_782_400, 1_709_164_800, 1_709_251_199, 4_107_542_400, .max,
        ]
        for _ in 0..<2000 { samples.append(UInt32.random(in: 0...UInt32.max, using: &generator)) }
        for seconds in samples {
            let expected = formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
            #expect(text(seconds) == expected)
            #expect(packed(expected) == seconds)
        }
        for text in [
            "", "2026-11-24T08:50:37", "2026-11-24t08:50:37Z", "2026-02-29T08:50:37Z", "2026-13-01T08:50:37Z",
            "2026-00-01T08:50:37Z", "2026-11-00T08:50:37Z", "2026-11-31T08:50:37Z", "2026-11-24T24:00:00Z",
            "2026-11-24T08:60:37Z", "2026-11-24T08:50:60Z", "1969-12-31T23:59:59Z", "2106-02-07T06:28:16Z",
            "2026-11-24T0:850:37Z", "2026-11-24T08:50:3aZ", "yyyy-11-24T08:50:37Z", "2026-11-24T08:50:37+",
            "9999-12-31T23:59:59Z",
        ] { #expect(packed(text) == nil, "\(text)") }
    }

    @Test("the members that the engine fills in, and further ones of the metadata, are the plain form")
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
