import Addressing
import FaultyLog
import Ledger
import TandemAPI
import Testing

@testable import IPAM

@Suite("The engine's calls")
struct EngineTests {
    private func service(_ name: String, _ spec: JSONValue = ["ipFamilyPolicy": "PreferDualStack"], uid: String? = nil)
        -> JSONValue
    {
        var metadata: JSONValue = ["name": .string(name)]
        metadata["uid"] = uid.map { .string($0) }
        return ["service": ["metadata": metadata, "spec": spec]]
    }

    private func pod(_ name: String, node: String, container: String? = nil, uid: String? = nil) -> JSONValue {
        var metadata: JSONValue = ["name": .string(name)]
        metadata["uid"] = uid.map { .string($0) }
        var params: JSONValue = ["pod": ["metadata": metadata, "spec": ["nodeName": .string(node)]]]
        if let container { params["attachment"] = ["containerID": .string(container), "ifName": "eth0"] }
        return params
    }

    @Test("a Service gets one address of each family; asked again, the same, and says so")
    func allocatesServices() async throws {
        let harness = try EngineHarness(FaultyLog())
        let first = try await harness.call(.allocateServiceIPs, service("web")).get()
        #expect(first["service"]?["spec"]?["ipFamilies"] == ["IPv4", "IPv6"])
        #expect(first["service"]?["spec"]?["clusterIPs"]?.arrayValue?.count == 2)
        #expect(first["replayed"] == nil)
        let again = try await harness.call(.allocateServiceIPs, service("web")).get()
        #expect(again["service"] == first["service"])
        #expect(again["replayed"] == true)
        let other = await harness.call(.allocateServiceIPs, service("web", ["ipFamilyPolicy": "SingleStack"]))
        #expect(throws: APIError.self) { try other.get() }
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("members in another order are the same request")
    func knowsRequests() async throws {
        let harness = try EngineHarness(FaultyLog())
        let ports: JSONValue = [["name": "http", "port": 80]]
        let swapped: JSONValue = [["port": 80, "name": "http"]]
        _ = try await harness.call(.allocateServiceIPs, service("a", ["ports": ports, "x": 1, "y": 2])).get()
        let again = try await harness.call(.allocateServiceIPs, service("a", ["y": 2, "ports": swapped, "x": 1])).get()
        #expect(again["replayed"] == true)
        harness.stop()
    }

    @Test("when the second family is full the first is given back, and the answer names the family")
    func allOrNone() async throws {
        let harness = try EngineHarness(FaultyLog())
        for index in 0..<7 { _ = try await harness.call(.allocateServiceIPs, service("s\(index)")).get() }
        let full = await harness.call(.allocateServiceIPs, service("more"))
        let error = try #require(full.error)
        #expect(error.status == .resourceExhausted)
        #expect(error.reason == "RangeFull")
        #expect(error.fullRange == AddressRange("fd00:10:96::/125"))
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("an update is compared with the version it was made from, and reports the released addresses")
    func updates() async throws {
        let harness = try EngineHarness(FaultyLog())
        let created = try await harness.call(.allocateServiceIPs, service("web")).get()
        var changed = try #require(created["service"])
        changed["spec"] = changed["spec"]?.merging(["ipFamilyPolicy": "SingleStack"])
        let updated = try await harness.call(.updateServiceIPs, ["service": changed]).get()
        let second = try #require(created["service"]?["spec"]?["clusterIPs"]?.arrayValue?.last)
        #expect(updated["released"] == [second])
        #expect(
            updated["service"]?["metadata"]?["resourceVersion"] != created["service"]?["metadata"]?["resourceVersion"])
        // The same again is answered as it was; another one from the same version comes too late.
        let again = try await harness.call(.updateServiceIPs, ["service": changed]).get()
        #expect(again["replayed"] == true)
        #expect(again["released"] == [second] && again["service"] == updated["service"])
        changed["metadata"] = changed["metadata"]?.merging(["labels": ["app": "web"]])
        let stale = await harness.call(.updateServiceIPs, ["service": changed])
        #expect(stale.error?.status == .aborted)
        // "0" names no version, as in Kubernetes.
        var present = try #require(updated["service"])
        present["metadata"] = present["metadata"]?.merging(["labels": ["app": "web"], "resourceVersion": "0"])
        let unconditional = try await harness.call(.updateServiceIPs, ["service": present]).get()
        #expect(unconditional["service"]?["metadata"]?["labels"]?["app"] == "web")
        let unknown = await harness.call(.updateServiceIPs, service("nobody"))
        #expect(unknown.error?.status == .notFound)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("a dry run decides and keeps nothing")
    func dryRuns() async throws {
        let harness = try EngineHarness(FaultyLog())
        var params = service("web")
        params["dryRun"] = true
        let shown = try await harness.call(.allocateServiceIPs, params).get()
        #expect(shown["service"]?["spec"]?["clusterIPs"]?.arrayValue?.count == 2)
        #expect((await harness.call(.getService, service("web"))).error?.status == .notFound)
        var podParams = pod("p", node: "n1")
        podParams["dryRun"] = true
        _ = try await harness.call(.allocatePodIPs, podParams).get()
        #expect(try await harness.items(.listNodes).isEmpty)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("a pod gets one address per family from its node, which is registered in the same commit")
    func allocatesPods() async throws {
        let store = FaultyLog()
        let harness = try EngineHarness(store)
        let first = try await harness.call(.allocatePodIPs, pod("p", node: "n1", container: "c1")).get()
        #expect(first["pod"]?["status"]?["podIPs"]?.arrayValue?.count == 2)
        #expect(first["node"]?["name"] == "n1")
        #expect(first["node"]?["podCIDRs"]?.arrayValue?.count == 2)
        #expect(first["node"]?["gateways"] == ["10.244.0.1", "fd00:10:244::1"])
        let again = try await harness.call(.allocatePodIPs, pod("p", node: "n1", container: "c1")).get()
        #expect(again["pod"] == first["pod"])
        #expect(again["replayed"] == true)
        let renewed = try await harness.call(.allocatePodIPs, pod("p", node: "n1", container: "c2")).get()
        #expect(renewed["pod"]?["status"]?["podIPs"] != first["pod"]?["status"]?["podIPs"])
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("without --auto-register-nodes a pod of an unknown node is refused")
    func needsRegisteredNodes() async throws {
        var cluster = ClusterConfiguration.small
        cluster.autoRegisterNodes = false
        let harness = try EngineHarness(FaultyLog(), cluster)
        #expect((await harness.call(.allocatePodIPs, pod("p", node: "n1"))).error?.status == .failedPrecondition)
        _ = try await harness.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n1"]]]).get()
        _ = try await harness.call(.allocatePodIPs, pod("p", node: "n1")).get()
        harness.stop()
    }

    @Test("a release frees only the addresses of that incarnation, and succeeds where there is no object")
    func releasesIncarnations() async throws {
        let harness = try EngineHarness(FaultyLog())
        _ = try await harness.call(.allocatePodIPs, pod("p", node: "n1", uid: "old")).get()
        _ = try await harness.call(.allocatePodIPs, pod("p", node: "n1", uid: "new")).get()
        let late = try await harness.call(.release, ["pod": ["metadata": ["name": "p", "uid": "old"]]]).get()
        #expect(late["released"]?.arrayValue?.count == 2)
        let again = try await harness.call(.release, ["pod": ["metadata": ["name": "p", "uid": "old"]]]).get()
        #expect(again["released"] == [])
        #expect(try await harness.items(.listPods).count == 1)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("a release of an attachment finds the allocation of an earlier call that is still in flight")
    func releasesBehindAllocation() async throws {
        let harness = try EngineHarness(FaultyLog())
        let attachment: JSONValue = ["containerID": "c1"]
        for _ in 0..<50 {
            harness.begin(
                .allocatePodIPs,
                ["pod": ["metadata": ["name": "p"], "spec": ["nodeName": "n1"]], "attachment": attachment]
            ) { _ in }
            let released = try await harness.call(.release, ["attachment": attachment]).get()
            #expect(released["released"]?.arrayValue?.count == 2)
        }
        harness.stop()
    }

    @Test("a node with pods is released by force alone, and then with them")
    func releasesNodes() async throws {
        let harness = try EngineHarness(FaultyLog())
        for name in ["a", "b"] { _ = try await harness.call(.allocatePodIPs, pod(name, node: "n1")).get() }
        let refused = await harness.call(.release, ["node": ["metadata": ["name": "n1"]]])
        #expect(refused.error?.status == .failedPrecondition)
        let forced = try await harness.call(.release, ["node": ["metadata": ["name": "n1"]], "force": true]).get()
        #expect(forced["released"]?.arrayValue?.count == 6)
        #expect(try await harness.faults() == [])
        #expect(engineIsEmpty(harness))
        harness.stop()
    }

    private func engineIsEmpty(_ harness: EngineHarness) -> Bool {
        harness.engine.poolStatuses().allSatisfy { $0.allocated == 0 }
    }

    @Test("addresses and CIDRs that are asked for are given exactly, or refused")
    func givesExactly() async throws {
        let harness = try EngineHarness(FaultyLog())
        let node: JSONValue = [
            "node": ["metadata": ["name": "n1"], "spec": ["podCIDRs": ["10.244.0.32/28", "fd00:10:244:2::/64"]]]
        ]
        let given = try await harness.call(.allocateNodeCIDRs, node).get()
        #expect(given["node"]?["spec"]?["podCIDR"] == "10.244.0.32/28")
        let taken: JSONValue = ["node": ["metadata": ["name": "n2"], "spec": ["podCIDRs": ["10.244.0.32/28"]]]]
        #expect((await harness.call(.allocateNodeCIDRs, taken)).error?.causes.first?.field == "spec.podCIDRs[0]")
        var asked = pod("p", node: "n1")
        asked["pod"]?["status"] = ["podIPs": [["ip": "10.244.0.40"], ["ip": "fd00:10:244:2::99"]]]
        let exact = try await harness.call(.allocatePodIPs, asked).get()
        #expect(exact["pod"]?["status"]?["podIP"] == "10.244.0.40")
        asked["pod"]?["metadata"] = ["name": "q"]
        #expect((await harness.call(.allocatePodIPs, asked)).error?.status == .invalidArgument)
        #expect(try await harness.faults() == [])
        harness.stop()
    }

    @Test("a node's agent touches its own node's pods alone")
    func keepsToItsNode() async throws {
        let harness = try EngineHarness(FaultyLog())
        _ = try await harness.call(.allocatePodIPs, pod("p", node: "n1", container: "c1")).get()
        let name: JSONValue = ["pod": ["metadata": ["name": "p"]]]
        let container: JSONValue = ["attachment": ["containerID": "c1"]]
        #expect((await harness.call(.getPod, name, onlyNode: "n2")).error?.status == .notFound)
        for target in [name, container] {
            #expect(try await harness.call(.release, target, onlyNode: "n2").get() == ["released": []])
        }
        // Of two nodes' pods of one name each agent sees its own, of several the newest.
        _ = try await harness.call(.allocatePodIPs, pod("p", node: "n1", container: "c0", uid: "newer")).get()
        _ = try await harness.call(.allocatePodIPs, pod("p", node: "n2", container: "c2")).get()
        for node in ["n1", "n2"] {
            let found = try await harness.call(.getPod, name, onlyNode: node).get()
            #expect(found["pod"]?["spec"]?["nodeName"] == .string(node))
            #expect((found["pod"]?["metadata"]?["uid"] == "newer") == (node == "n1"))
        }
        let released = try await harness.call(.release, name, onlyNode: "n1").get()["released"]?.arrayValue
        #expect(released?.count == 4)
        #expect((await harness.call(.getPod, name, onlyNode: "n1")).error?.status == .notFound)
        _ = try await harness.call(.getPod, name, onlyNode: "n2").get()
        harness.stop()
    }
}

extension Result {
    var error: Failure? { if case .failure(let error) = self { error } else { nil } }
}
