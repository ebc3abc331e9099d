import Reconciliation
import TandemAPI
import TestSupport
import Testing

/// A collection by reference, so that an expectation can have its next round.
private final class Rounds {
    private var collection: PodCollection

    init(_ gracePeriod: Duration) { collection = PodCollection(gracePeriod: gracePeriod) }

    func round(_ held: [HeldPod], _ shown: [ShownPod], now: Duration) -> [PodCollection.Identity] {
        collection.suspects(held, shown, now: now)
    }
}

@Suite("Pods that are gone")
struct PodTests {
    private func held(_ uid: String, isUIDMade: Bool = false, _ name: String = "web-0") -> HeldPod {
        HeldPod(
            namespace: "default", name: name, uid: uid, isUIDMade: isUIDMade, nodeName: "n1",
            addresses: ["10.244.1.5"])
    }

    private func shown(_ uid: String, hash: String? = nil, isOver: Bool = false) -> ShownPod {
        ShownPod(namespace: "default", name: "web-0", uid: uid, configHash: hash, nodeName: "n1", isOver: isOver)
    }

    @Test("one is looked for when it was away twice, for the grace time; a name or an address is no sign of life")
    func suspects() {
        let collection = Rounds(.seconds(300))
        let pods = [held("u1")]
        // Another incarnation of its name is there.
        #expect(collection.round(pods, [shown("u2")], now: .seconds(10)).isEmpty)
        #expect(collection.round(pods, [shown("u2")], now: .seconds(309)).isEmpty)
        #expect(collection.round(pods, [shown("u2")], now: .seconds(310)) == [.init(pods[0])])
        // It was there in between: its time begins anew.
        #expect(collection.round(pods, [shown("u1")], now: .seconds(320)).isEmpty)
        #expect(collection.round(pods, [], now: .seconds(700)).isEmpty)
        #expect(collection.round(pods, [], now: .seconds(999)).isEmpty)
        #expect(collection.round(pods, [], now: .seconds(1000)).count == 1)
        // However long ago, once is not twice.
        let other = Rounds(.zero)
        #expect(other.round(pods, [], now: .zero).isEmpty)
        #expect(other.round(pods, [], now: .zero).count == 1)
    }

    @Test("a mirror pod is known by its hash; one that is over is gone; a uid that Tandem made says nothing")
    func identities() {
        var collection = PodCollection(gracePeriod: .zero)
        let pods = [held("hash"), held("over"), held("made", isUIDMade: true)]
        for _ in 0..<3 {
            let suspects = collection.suspects(
                pods, [shown("mirror", hash: "hash"), shown("over", isOver: true)], now: .zero)
            #expect(suspects.allSatisfy { $0.uid == "over" })
        }
        #expect(collection.missingCount == 1)
        #expect(collection.needsList([], seen: { _ in true }))
        let idle = PodCollection(gracePeriod: .zero)
        #expect(!idle.needsList(pods, seen: { $0 != "made" }))
        #expect(idle.needsList(pods, seen: { $0 != "over" }))
    }

    @Test("the look at it alone decides: by uid, by hash, by phase")
    func looks() {
        let pod = PodCollection.Identity(held("u1"))
        func object(_ uid: String, hash: String = "", phase: String = "Running") -> JSONValue {
            [
                "metadata": [
                    "namespace": "default", "name": "web-0", "uid": .string(uid),
                    "annotations": ["kubernetes.io/config.hash": .string(hash)],
                ], "status": ["phase": .string(phase)],
            ]
        }
        let release: JSONValue = [
            "pod": [
                "metadata": ["namespace": "default", "name": "web-0", "uid": "u1"], "spec": ["nodeName": "n1"],
            ]
        ]
        #expect(PodCollection.release(pod, nil) == TandemCall(.release, .release, release))
        #expect(PodCollection.release(pod, object("u2")) != nil)
        #expect(PodCollection.release(pod, object("u1")) == nil)
        #expect(PodCollection.release(pod, object("m", hash: "u1")) == nil)
        #expect(PodCollection.release(pod, object("u1", phase: "Failed")) != nil)
    }

    @Test("a pod's shown addresses are taken in once, by the uid that its runtime was given")
    func adopts() throws {
        let object: JSONValue = [
            "metadata": [
                "namespace": "kube-system", "name": "etcd-n1", "uid": "mirror",
                "annotations": ["kubernetes.io/config.hash": "hash"],
            ], "spec": ["nodeName": "n1"],
            "status": ["phase": "Running", "podIPs": [["ip": "10.244.1.9"], ["ip": "fd00::9"]]],
        ]
        let pod = try #require(ShownPod(object))
        var pass = PodPass(shown: pod, held: nil)
        guard case .call(let call) = pass.next() else { throw Unexpected() }
        #expect(call.params["pod"]?["metadata"]?["uid"] == "hash" && call.params["adopt"] == true)
        #expect(call.params["pod"]?["status"]?["podIPs"] == [["ip": "10.244.1.9"], ["ip": "fd00::9"]])
        pass.answered(call, [:])
        #expect(pass.next() == .finished(.settled))
        // Known already: all of it, or as its runtime asked for it.
        var known = HeldPod(
            namespace: "kube-system", name: "etcd-n1", uid: "hash", nodeName: "n1",
            addresses: ["10.244.1.9", "fd00::9"])
        #expect(PodPass(shown: pod, held: known).next() == .finished(.settled))
        known.addresses = ["10.244.1.8"]
        guard case .call = PodPass(shown: pod, held: known).next() else { throw Unexpected() }
        known.isAttached = true
        #expect(PodPass(shown: pod, held: known).next() == .finished(.settled))
        // The host's, over, or not on a node yet.
        for change: (inout ShownPod) -> Void in [
            { $0.usesHostNetwork = true }, { $0.isOver = true }, { $0.nodeName = "" }, { $0.addresses = [] },
        ] {
            var other = pod
            change(&other)
            #expect(PodPass(shown: other, held: nil).next() == .finished(.nothing))
        }
    }

    @Test("no living pod is ever released, and none that is gone stays", arguments: seeds)
    func property(_ seed: UInt64) {
        /// Pods of a cluster, and those in Tandem, which knows each before its cluster lists it no more.
        var random = SeededGenerator(seed: seed)
        var living: [ShownPod] = []
        var records: [HeldPod] = []
        var collection = PodCollection(gracePeriod: .seconds(30))
        var now = Duration.zero
        var nextUID = 0
        var released = 0
        func change() {
            for _ in 0..<Int.random(in: 0..<4, using: &random) {
                if Bool.random(using: &random) || living.isEmpty {
                    nextUID += 1
                    let uid = "u\(nextUID)"
                    let isMirror = Int.random(in: 0..<5, using: &random) == 0
                    // Few names: nearly every one is of another incarnation soon.
                    let name = "p\(Int.random(in: 0..<3, using: &random))"
                    living.append(
                        ShownPod(
                            namespace: "default", name: name, uid: isMirror ? "m\(nextUID)" : uid,
                            configHash: isMirror ? uid : nil, nodeName: "n1"))
                    let isMade = Int.random(in: 0..<6, using: &random) == 0
                    records.append(held(isMade ? "made\(nextUID)" : uid, isUIDMade: isMade, name))
                } else {
                    living.remove(at: Int.random(in: 0..<living.count, using: &random))
                }
            }
        }
        func round() {
            let held = records
            change()
            let shown = living
            change()
            let suspects = collection.suspects(held, shown, now: now)
            for pod in suspects {
                change()
                let object = living.first { $0.name == pod.name }
                let json: JSONValue? = object.map {
                    [
                        "metadata": [
                            "namespace": "default", "name": .string($0.name), "uid": .string($0.uid),
                            "annotations": ["kubernetes.io/config.hash": .string($0.configHash ?? "")],
                        ]
                    ]
                }
                guard let call = PodCollection.release(pod, json) else { continue }
                let uid = call.params["pod"]?["metadata"]?["uid"]?.stringValue ?? ""
                #expect(
                    !living.contains { $0.isKnown(as: uid) && $0.name != pod.name || object?.isKnown(as: uid) == true })
                #expect(!uid.hasPrefix("made"))
                records.removeAll { $0.uid == uid }
                collection.settle(pod)
                released += 1
            }
            now += .seconds(Int.random(in: 1...20, using: &random))
        }
        for _ in 0..<300 { round() }
        // Quiet: all that is gone goes.
        for _ in 0..<12 {
            let suspects = collection.suspects(records, living, now: now)
            for pod in suspects { records.removeAll { $0.uid == pod.uid } }
            now += .seconds(10)
        }
        #expect(released > 50)
        #expect(records.allSatisfy { record in record.isUIDMade || living.contains { $0.isKnown(as: record.uid) } })
        #expect(
            living.allSatisfy { pod in
                records.contains { pod.isKnown(as: $0.uid) || $0.isUIDMade && $0.name == pod.name }
            })
    }
}
