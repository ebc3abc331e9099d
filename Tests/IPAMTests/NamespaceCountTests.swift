import FaultyLog
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("Objects by namespace")
struct NamespaceCountTests {
    @Test("a name's run ends where the next one begins, also where one name begins another", arguments: [1, 3, 256])
    func countsNames(limit: Int) {
        let objects = NamedObjects<NamedValue>()
        let names = ["a/x", "a/y", "a-b/x", "ab/x", "ab/y", "ab/z", "z/x"]
        for name in names { objects[name] = NamedValue(name) }
        var (found, next) = ([String: Int](), String?.some(""))
        while let start = next {
            let part = objects.runs(from: start, through: "/", limit: limit)
            #expect(part.runs.count <= limit)
            for run in part.runs { found[run.prefix, default: 0] += run.count }
            next = part.next
        }
        #expect(found == ["a/": 2, "a-b/": 1, "ab/": 3, "z/": 1])
    }

    @Test("pods and Services are counted as they come and go; the largest come first, equal ones by name")
    func counts() async throws {
        let harness = try EngineHarness(FaultyLog())
        func metadata(_ namespace: String, _ name: String) -> JSONValue {
            ["namespace": .string(namespace), "name": .string(name)]
        }
        for (namespace, count) in [("shop", 3), ("batch", 5), ("web", 3), ("x", 1)] {
            for number in 0..<count {
                let pod: JSONValue = ["metadata": metadata(namespace, "p\(number)"), "spec": ["nodeName": "n1"]]
                _ = try await harness.call(.allocatePodIPs, ["pod": pod]).get()
                guard number < 2 else { continue }
                let service: JSONValue = ["metadata": metadata(namespace, "s\(number)")]
                _ = try await harness.call(.allocateServiceIPs, ["service": service]).get()
            }
        }
        _ = try await harness.call(.release, ["pod": ["metadata": metadata("x", "p0")]]).get()
        let (pods, services) = harness.engine.namespaceCounts(largest: 2)
        #expect(pods.namespaces == 3)
        #expect(pods.largest.map(\.namespace) == ["batch", "shop"] && pods.largest.map(\.count) == [5, 3])
        #expect(services.namespaces == 4)
        #expect(services.largest.map(\.namespace) == ["batch", "shop"] && services.largest.map(\.count) == [2, 2])
    }

    @Test("of many the largest are kept, whatever the order in which they come")
    func keepsLargest() {
        var counts = NamespaceCounts(limit: 3)
        for (number, count) in [1, 7, 2, 7, 9, 1].enumerated() { counts.add(count) { "n\(number)" } }
        #expect(counts.namespaces == 6)
        #expect(counts.largest.map(\.namespace) == ["n4", "n1", "n3"] && counts.largest.map(\.count) == [9, 7, 7])
    }
}
