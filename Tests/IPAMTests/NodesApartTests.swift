import Addressing
import EngineSupport
import FaultyLog
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

/// Names and containers that nodes have in common. The answers to agents, whatever they ask for, are tested in `TandemServerTests`.
@Suite("Nodes that have a name or a container in common")
struct CommonNameTests {
    private func add(
        _ name: String, _ node: String, uid: String? = nil, container: String? = nil, interface: String = "eth0"
    ) -> Call {
        let pod = Pod(
            metadata: ObjectMeta(namespace: "default", name: name, uid: uid.map { Written($0) }), nodeName: node)
        let attachment = container.map { Attachment(containerID: $0, ifName: interface) }
        return Call(.allocatePodIPs, .allocatePodIPs(PodRequest(pod: pod, attachment: attachment)))
    }

    private func release(_ name: String) -> Call {
        Call(.release, .release(.pod(ObjectMeta(namespace: "default", name: name), nodeName: nil)))
    }

    private func release(container: String, on node: String? = nil) -> Call {
        let attachment = ReleasedAttachment(containerID: container, ifName: "eth0", nodeName: node)
        return Call(.release, .release(.attachment(attachment)))
    }

    /// How many addresses of released are told of.
    private func count(_ result: Result<CallResult, APIError>) -> Int {
        let json = (try? result.get().json).flatMap { try? JSONValue(parsing: $0) }
        return json?["released"]?.arrayValue?.count ?? -1
    }

    private let cluster = ClusterConfiguration(
        clusterCIDRs: [CIDR("10.0.0.0/8")!, CIDR("fd00:10:244::/48")!], nodeMaskSizeIPv4: 16)

    private func engine() throws -> Engine {
        let engine = try Engine(cluster: cluster, log: FaultyLog(), stepsByHand: true)
        for name in ["n1", "n2"] {
            let node = Node(metadata: ObjectMeta(name: name))
            engine.perform(Call(.allocateNodeCIDRs, .allocateNodeCIDRs(node))) { _ in }
            engine.step()
        }
        return engine
    }

    @Test("an agent's calls wait for none of another's, whatever name and container those are for")
    func waitForNobodyElse() throws {
        let engine = try engine()
        let answers = Noted<String>()
        // One commit each: they have one name, and half of them one container.
        for index in 0..<40 {
            let container = index.isMultiple(of: 2) ? "c" : nil
            engine.perform(
                add("p", "n1", uid: "u\(index)", container: container, interface: "i\(index)"), onlyNode: "n1"
            ) { _ in }
        }
        engine.perform(add("p", "n2", container: "c"), onlyNode: "n2") { _ in answers.add("added") }
        engine.step()
        #expect(answers.all == ["added"])
        engine.perform(release(container: "c", on: "n2"), onlyNode: "n2") {
            answers.add("\(self.count($0)) by container")
        }
        engine.step()
        engine.perform(add("p", "n2", container: "c"), onlyNode: "n2") { _ in answers.add("again") }
        engine.step()
        engine.perform(release("p"), onlyNode: "n2") { answers.add("\(self.count($0)) by name") }
        engine.step()
        #expect(answers.all == ["added", "2 by container", "again", "2 by name"])
        for _ in 0..<50 { engine.step() }
        #expect(engine.books.pods(named: ObjectMeta(namespace: "default", name: "p"), limit: 99).count == 40)
        engine.stop()
    }

    @Test(
        "a release that names no node comes after the calls in flight on each of them, and releases all of it",
        arguments: [true, false])
    func comesBehindAll(_ byName: Bool) throws {
        let engine = try engine()
        let answers = Noted<Int>()
        for node in ["n1", "n2"] {
            for uid in ["u1", "u2"] {
                engine.perform(add("p", node, uid: uid, container: uid == "u1" ? "c" : nil)) { _ in }
            }
        }
        engine.perform(byName ? release("p") : release(container: "c")) { answers.add(self.count($0)) }
        for _ in 0..<20 { engine.step() }
        #expect(answers.all == [byName ? 8 : 4])
        let left = engine.books.pods(named: ObjectMeta(namespace: "default", name: "p"), limit: 9)
        #expect(left.count == (byName ? 0 : 2))
        for key in ["container/c", "name/default/p"] { #expect(engine.podNodes.words(key).isEmpty) }
        engine.stop()
    }

    @Test(
        "GetPod says a pod's first interface, however many other nodes have of a container of that ID; and a node's own pod"
    )
    func getsItsOwn() throws {
        let engine = try engine()
        @Sendable func address(_ result: Result<CallResult, APIError>) -> String? {
            let json = (try? result.get().json).flatMap { try? JSONValue(parsing: $0) }
            return json?["pod"]?["status"]?["podIP"]?.stringValue
        }
        let (given, got) = (Noted<String?>(), Noted<String?>())
        for interface in ["net1", "net2"] {
            engine.perform(add("p", "n2", uid: "u", container: "c", interface: interface)) { given.add(address($0)) }
            engine.step()
        }
        for index in 0..<300 {
            engine.perform(add("p", "n1", uid: "u", container: "c", interface: "a\(index)"), onlyNode: "n1") { _ in }
        }
        for _ in 0..<310 { engine.step() }
        let metadata = ObjectMeta(namespace: "default", name: "p", uid: "u")
        engine.perform(Call(.getPod, .getPod(metadata, nodeName: nil)), onlyNode: "n2") { got.add(address($0)) }
        engine.perform(Call(.getPod, .getPod(metadata, nodeName: "n2"))) { got.add(address($0)) }
        #expect(got.all == [given.all[0], given.all[0]] && given.all[0] != nil)
        engine.stop()
    }

    @Test("an agent is not told the owner of a pod CIDR that it does not get")
    func namesNobody() async throws {
        // Services keep the cluster IPs that they come with.
        let engine = try Engine(cluster: cluster, log: FaultyLog())
        let service: JSONValue = ["metadata": ["name": "web"], "spec": ["clusterIP": "10.9.0.5"]]
        _ = try await engine.answer(.allocateServiceIPs, ["service": service]).get()
        _ = try await engine.answer(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]]).get()
        for (cidr, word) in [("10.9.0.0/16", "Service"), ("10.0.0.0/16", "another node")] {
            let node: JSONValue = ["metadata": ["name": "n1"], "spec": ["podCIDRs": [.string(cidr)]]]
            let told = await engine.answer(.allocateNodeCIDRs, ["node": node])
            let agent = await engine.answer(.allocateNodeCIDRs, ["node": node], onlyNode: "n1")
            guard case .failure(let whole) = told, case .failure(let bare) = agent else {
                Issue.record("\(cidr) was given")
                continue
            }
            #expect(whole.message.contains(word) && bare.message.hasSuffix("\(cidr) is not free"))
        }
        engine.stop()
    }
}
