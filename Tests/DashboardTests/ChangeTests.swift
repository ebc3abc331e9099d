import TandemAPI
import TandemClient
import Testing

@testable import Dashboard

@Suite("Changes on their way to a page")
struct ChangeTests {
    @Test("a change names its object and the object's addresses, and nothing else of it")
    func lines() throws {
        let service: JSONValue = [
            "kind": "Service",
            "metadata": ["namespace": "shop", "name": "web", "resourceVersion": "7", "annotations": ["secret": "x"]],
            "spec": ["clusterIPs": ["10.96.0.1"]], "status": ["loadBalancer": ["ingress": [["ip": "192.0.2.1"]]]],
        ]
        let expected: JSONValue = [
            "type": "added", "kind": "Service", "namespace": "shop", "name": "web", "version": "7",
            "addresses": ["10.96.0.1", "192.0.2.1"],
        ]
        #expect(Change.line(.added(service), old: 6) == expected)
        #expect(Change.line(.deleted(service), old: 7)?["isOld"] == true)
        #expect(Change.line(.deleted(service), old: 7)?["type"] == "deleted")
        let pod: JSONValue = [
            "kind": "Pod", "metadata": ["name": "p"], "spec": ["nodeName": "n1"],
            "status": ["podIPs": [["ip": "10.244.0.2"], ["ip": "fd00::2"]]],
        ]
        #expect(Change.line(.modified(pod), old: 0)?["addresses"] == ["10.244.0.2", "fd00::2"])
        #expect(Change.line(.modified(pod), old: 0)?["node"] == "n1")
        let node: JSONValue = ["kind": "Node", "metadata": ["name": "n1"], "spec": ["podCIDRs": ["10.244.0.0/24"]]]
        #expect(Change.line(.added(node), old: 0)?["addresses"] == ["10.244.0.0/24"])
        #expect(Change.line(.bookmark(version: "9"), old: 0) == nil)
    }

    @Test(
        "a page that is slow gets the newest ones, and how many there were before them",
        arguments: [1, 100, 101, 199, 200, 5_000])
    func bounds(count: Int) async throws {
        let buffer = ChangeBuffer()
        for number in 0..<count { buffer.put(.number(String(number))) }
        let message = try #require(await buffer.next())
        let changes = message["changes"]?.arrayValue ?? []
        let shown = min(count, ChangeBuffer.maximum)
        #expect(changes.compactMap(\.intValue) == Array(count - shown..<count))
        #expect(message["skipped"]?.intValue ?? 0 == count - shown)
        buffer.put(state: ["state": "lost"])
        #expect(await buffer.next() == ["changes": [], "watch": ["state": "lost"]])
    }
}
