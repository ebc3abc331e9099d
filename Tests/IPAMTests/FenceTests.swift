import Addressing
import EngineSupport
import FaultyLog
import Ledger
import Measures
import Synchronization
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Which calls of one of several servers ask the log for the changes that they may lack, and when.
@Suite("Fences of calls")
struct FenceTests {
    private let store = SharedLog.Store()
    private let members: [SharedLog.Member]
    private let engines: [Engine]
    private let clock = Clock()

    /// Set by the tests.
    private final class Clock: Sendable {
        private let nanoseconds = Atomic<UInt64>(10_000_000_000)
        var moment: Moment { Moment(nanoseconds: nanoseconds.load(ordering: .relaxed)) }
        func pass(milliseconds: UInt64) {
            nanoseconds.wrappingAdd(milliseconds * 1_000_000, ordering: .relaxed)
        }
    }

    init() throws {
        let cluster = ClusterConfiguration(
            serviceRanges: [CIDR("10.96.0.0/30")!, CIDR("fd00:96::/126")!], clusterCIDRs: [CIDR("10.0.0.0/16")!],
            loadBalancerRanges: [AddressRange("192.0.2.1-192.0.2.6")!, AddressRange("2001:db8::8/128")!])
        let store = store
        let members = (0..<2).map { _ in SharedLog.Member(store) }
        self.members = members
        let clock = clock
        var environment = Environment.system
        environment.moment = { clock.moment }
        engines = try members.map { [environment] in
            try Engine(cluster: cluster, log: $0, environment: environment, stepsByHand: true)
        }
    }

    /// What the server can do without the other's entries.
    private func step(_ index: Int) {
        repeat { store.land(members[index]) } while engines[index].step()
    }

    private func settle(_ index: Int) {
        var idle = 0
        // A step that asks for a fence has no more to do until it is answered.
        while idle < 8 {
            store.land(members[index])
            members[index].deliver(.max)
            if members[index].asksFence { members[index].answerFence() }
            idle = engines[index].step() ? 0 : idle + 1
        }
    }

    private func begin(_ index: Int, _ method: TandemAPI.Method, _ params: JSONValue) -> Noted<String> {
        let told = Noted<String>()
        engines[index].begin(method, params) { result in
            switch result {
            case .success(let value): told.add(value.text.description)
            case .failure(let error): told.add(error.reason)
            }
        }
        return told
    }

    /// The answer of a call, after which this server has everything, and the other one no more than before.
    private func call(_ index: Int, _ method: TandemAPI.Method, _ params: JSONValue) -> JSONValue {
        let told = begin(index, method, params)
        settle(index)
        return told.all.first.flatMap { try? JSONValue(parsing: Array($0.utf8)) } ?? .string(told.all.first ?? "none")
    }

    private static func service(_ name: String, _ spec: JSONValue = [:]) -> JSONValue {
        ["service": ["metadata": ["name": .string(name)], "spec": spec]]
    }

    private static func pod(_ name: String, uid: String? = nil, container: String? = nil) -> JSONValue {
        var metadata: JSONValue = ["name": .string(name)]
        if let uid { metadata["uid"] = .string(uid) }
        var params: JSONValue = ["pod": ["metadata": metadata, "spec": ["nodeName": "n"]]]
        if let container { params["attachment"] = ["containerID": .string(container)] }
        return params
    }

    @Test("a new Service, Node or Pod needs none: its own entry shows that nothing was in its way")
    func newObjectsNeedNone() {
        for (method, params) in [
            (.allocateNodeCIDRs, ["node": ["metadata": ["name": "n"]]]), (.allocateServiceIPs, Self.service("a")),
            (.allocatePodIPs, Self.pod("p", container: "c")), (.allocatePodIPs, Self.pod("q")),
        ] as [(TandemAPI.Method, JSONValue)] {
            let told = begin(0, method, params)
            var steps = 0
            repeat {
                #expect(!members[0].asksFence)
                store.land(members[0])
                members[0].deliver(.max)
                steps += 1
            } while engines[0].step() || steps < 3
            #expect(told.all.count == 1 && told.all.first?.hasPrefix("{") == true)
        }
    }

    @Test(
        "reads, releases, updates, dry runs and adoptions ask first",
        arguments: [
            (.getService, Self.service("a")), (.release, Self.service("a")), (.updateServiceIPs, Self.service("a")),
            (.allocateServiceIPs, Self.service("b").merging(["dryRun": true])),
            (.allocateServiceIPs, Self.service("b").merging(["adopt": true])),
            (.allocatePodIPs, Self.pod("p", uid: "u")),
        ] as [(TandemAPI.Method, JSONValue)])
    func asksFirst(_ method: TandemAPI.Method, _ params: JSONValue) {
        let told = begin(0, method, params)
        step(0)
        #expect(members[0].asksFence && told.all == [])
        settle(0)
        #expect(told.all.count == 1)
    }

    @Test("a full range is not said of addresses that another server has released")
    func rangeIsNotFull() {
        // More than there are addresses.
        for number in 0..<4 { _ = call(0, .allocateServiceIPs, Self.service("a\(number)")) }
        settle(1)
        let old = call(0, .release, Self.service("a0"))["released"]?.arrayValue?.first?["ip"]
        let told = begin(1, .allocateServiceIPs, Self.service("d"))
        step(1)
        #expect(members[1].asksFence && told.all == [])
        settle(1)
        #expect(old != nil)
        #expect(told.all.first?.contains(old?.stringValue ?? "none") == true, "\(told.all)")
        // Where it is full for certain, that is said.
        #expect(call(1, .allocateServiceIPs, Self.service("e")) == "RangeFull")
    }

    @Test("a name is not said to be in use that another server has released, and a replay is not of one that is gone")
    func nameIsFree() {
        _ = call(0, .allocateServiceIPs, Self.service("a"))
        settle(1)
        _ = call(0, .release, Self.service("a"))
        let other = call(1, .allocateServiceIPs, Self.service("a", ["ipFamilyPolicy": "PreferDualStack"]))
        #expect(other["service"]?["spec"]?["clusterIPs"]?.arrayValue?.count == 2, "\(other)")
        settle(0)
        _ = call(1, .release, Self.service("a"))
        let again = call(0, .allocateServiceIPs, Self.service("a", ["ipFamilyPolicy": "PreferDualStack"]))
        #expect(again["replayed"] == nil && again["service"] != nil, "\(again)")
    }

    @Test("a pod by its uid is the one that another server made without")
    func findsPodByUID() {
        _ = call(0, .allocateNodeCIDRs, ["node": ["metadata": ["name": "n"]]])
        settle(1)
        let made = call(0, .allocatePodIPs, Self.pod("p"))["pod"]
        let uid = made?["metadata"]?["uid"]?.stringValue
        let again = call(1, .allocatePodIPs, Self.pod("p", uid: uid))
        #expect(uid != nil && again["pod"] == made && again["replayed"] == true, "\(again)")
    }

    @Test("a pod of a node that another server has released is decided once more: the node comes anew")
    func nodeIsAnotherByNow() {
        _ = call(0, .allocateNodeCIDRs, ["node": ["metadata": ["name": "n"]]])
        settle(1)
        _ = call(0, .release, ["node": ["metadata": ["name": "n"]]])
        let made = call(1, .allocatePodIPs, Self.pod("p", container: "c"))
        #expect(made["pod"]?["status"]?["podIPs"]?.arrayValue?.count == 1, "\(made)")
    }

    @Test("a node that another server releases does not grow or take a uid meanwhile: its record needs a fence")
    func knownNodeNeedsOne() {
        _ = call(0, .allocateNodeCIDRs, ["node": ["metadata": ["name": "n"]]])
        let told = begin(0, .allocateNodeCIDRs, ["node": ["metadata": ["name": "n", "uid": "u"]]])
        step(0)
        #expect(members[0].asksFence && told.all == [])
        settle(0)
        #expect(told.all.first?.hasPrefix("{") == true)
    }

    @Test("a load balancer gets one address of two only where the other is gone for certain")
    func getsBothAddresses() {
        let spec: JSONValue = ["type": "LoadBalancer", "ipFamilyPolicy": "PreferDualStack", "ports": [["port": 80]]]
        _ = call(0, .allocateServiceIPs, Self.service("a", spec))
        settle(1)
        _ = call(0, .release, Self.service("a"))
        let made = call(1, .allocateServiceIPs, Self.service("b", spec))["service"]?["status"]?["loadBalancer"]
        #expect(made?["ingress"]?.arrayValue?.count == 2, "\(made ?? .null)")
        let one = call(1, .allocateServiceIPs, Self.service("c", spec))["service"]?["status"]?["loadBalancer"]
        #expect(one?["ingress"]?.arrayValue?.count == 1, "\(one ?? .null)")
    }

    @Test("a log that is silent is asked first, and what waits behind a group without an outcome is told in time")
    func silence() {
        // Its last answer is too old to be relied upon.
        clock.pass(milliseconds: 1_000)
        let first = begin(0, .allocateServiceIPs, Self.service("a"))
        step(0)
        #expect(members[0].asksFence && first.all == [])
        clock.pass(milliseconds: 2_000)
        _ = engines[0].step()
        #expect(first.all == ["StorageUnavailable"])
        // It answers again: a call is on its way by itself, and the store falls silent behind it.
        settle(0)
        #expect(call(0, .getService, Self.service("a")) == "NotFound")
        let inFlight = begin(0, .allocateServiceIPs, Self.service("b"))
        _ = engines[0].step()
        #expect(members[0].hasInFlight)
        let behind = begin(0, .allocateServiceIPs, Self.service("c"))
        _ = engines[0].step()
        clock.pass(milliseconds: 1_500)
        let later = begin(0, .allocateServiceIPs, Self.service("d"))
        _ = engines[0].step()
        #expect(behind.all == [] && members[0].asksFence)
        clock.pass(milliseconds: 1_000)
        _ = engines[0].step()
        #expect(behind.all == ["StorageUnavailable"] && later.all == [])
        clock.pass(milliseconds: 1_500)
        _ = engines[0].step()
        #expect(later.all == ["StorageUnavailable"] && inFlight.all == [])
        settle(0)
        #expect(inFlight.all.first?.hasPrefix("{") == true)
        #expect(engines[0].books.services.count == 1)
    }
}
