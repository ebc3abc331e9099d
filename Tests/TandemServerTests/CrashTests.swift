import Foundation
import ServerSupport
import Synchronization
import TandemAPI
import TestSupport
import Testing

/// `kill -9` at any moment loses nothing that was acknowledged, and gives nothing out twice.
@Suite("Crashes", .serialized)
struct CrashTests {
    /// The acknowledged allocations: name and addresses. Thread-safe.
    private final class Acknowledged: Sendable {
        private let objects = Mutex<[String: [String]]>([:])
        var all: [String: [String]] { objects.withLock { $0 } }
        func add(_ name: String, _ addresses: [String]) { objects.withLock { $0[name] = addresses } }
        func remove(_ name: String) { objects.withLock { _ = $0.removeValue(forKey: name) } }
    }

    @Test("a server that is killed under load again and again keeps every promise")
    func survivesKills() throws {
        let rounds = ProcessInfo.processInfo.environment["TANDEM_KILLS"].flatMap(Int.init) ?? 10
        let directory = ScratchDirectory()
        let acknowledged = Acknowledged()
        for round in 0..<rounds {
            let server = try ServerProcess(directory.path)
            try check(server, acknowledged.all, round)
            load(server, acknowledged, round)
        }
        let server = try ServerProcess(directory.path)
        try check(server, acknowledged.all, rounds)
        #expect(server.stop() == 0)
    }

    /// Allocates, updates and releases Services, pods and nodes on several connections, and kills the server once so many
    /// calls were acknowledged.
    private func load(_ server: ServerProcess, _ acknowledged: Acknowledged, _ round: Int) {
        let enough = 40 + round * 37 % 200
        let count = Atomic<Int>(0)
        let threads = (0..<3).map { connection in
            let (port, processID) = (server.port, server.processID)
            return Worker {
                guard let stream = try? LineStream(port: port) else { return }
                for step in 0... {
                    let name = "r\(round)-c\(connection)-\(step)"
                    let isDone =
                        step % 2 == 0
                        ? self.changeService(stream, name, step, acknowledged)
                        : self.changePod(stream, name, step, acknowledged)
                    guard isDone else { return }
                    if count.wrappingAdd(1, ordering: .relaxed).newValue == enough { kill(processID, SIGKILL) }
                }
            }
        }
        for thread in threads { thread.join() }
        server.crash()
    }

    /// False once the server is gone.
    private func changeService(
        _ stream: LineStream, _ name: String, _ step: Int, _ acknowledged: Acknowledged
    ) -> Bool {
        func service(_ spec: JSONValue) -> JSONValue {
            ["service": ["metadata": ["name": .string(name)], "spec": spec]]
        }
        func ips(_ answer: JSONValue?) -> [String]? {
            answer?["result"]?["service"]?["spec"]?["clusterIPs"]?.arrayValue?.compactMap(\.stringValue)
        }
        guard let both = ips(stream.call(.allocateServiceIPs, service(["ipFamilyPolicy": "PreferDualStack"]))) else {
            return false
        }
        acknowledged.add("Service " + name, both)
        switch step % 6 {
        case 2:
            // A change that got no answer may have happened or not: forget the name before it is asked for.
            acknowledged.remove("Service " + name)
            let single = service(["ipFamilyPolicy": "SingleStack"])
            guard let one = ips(stream.call(.updateServiceIPs, single)) else { return false }
            acknowledged.add("Service " + name, one)
        case 4:
            acknowledged.remove("Service " + name)
            return stream.call(.release, ["service": ["metadata": ["name": .string(name)]]]) != nil
        default: break
        }
        return true
    }

    private func changePod(_ stream: LineStream, _ name: String, _ step: Int, _ acknowledged: Acknowledged) -> Bool {
        let attachment: JSONValue = ["containerID": .string(name)]
        let answer = stream.call(
            .allocatePodIPs,
            [
                "pod": ["metadata": ["name": .string(name)], "spec": ["nodeName": .string("n\(step % 5)")]],
                "attachment": attachment,
            ])
        guard answer != nil else { return false }
        // A node may be full.
        guard let ips = answer?["result"]?["pod"]?["status"]?["podIPs"]?.arrayValue else { return true }
        acknowledged.add("Pod " + name, ips.compactMap { $0["ip"]?.stringValue })
        guard step % 6 == 3 else { return true }
        acknowledged.remove("Pod " + name)
        return stream.call(.release, ["attachment": attachment]) != nil
    }

    private func check(_ server: ServerProcess, _ acknowledged: [String: [String]], _ round: Int) throws {
        let stream = try LineStream(port: server.port)
        var stored: [String: [String]] = [:]
        for service in try items(stream, .listServices) {
            let name = service["metadata"]?["name"]?.stringValue ?? ""
            stored["Service " + name] = service["spec"]?["clusterIPs"]?.arrayValue?.compactMap(\.stringValue) ?? []
        }
        for pod in try items(stream, .listPods) {
            let name = pod["metadata"]?["name"]?.stringValue ?? ""
            stored["Pod " + name] = pod["status"]?["podIPs"]?.arrayValue?.compactMap { $0["ip"]?.stringValue } ?? []
        }
        var owners: [String: String] = [:]
        for (name, ips) in stored {
            for ip in ips {
                #expect(owners.updateValue(name, forKey: ip) == nil, "round \(round): \(ip) has two owners")
            }
        }
        for (name, ips) in acknowledged { #expect(stored[name] == ips, "round \(round): \(name) was acknowledged") }
        let pools = try #require(stream.call(.getPools)?["result"]?["pools"]?.arrayValue)
        let taken = pools.filter { $0["kind"] != "NodeCIDR" }.compactMap {
            $0["allocated"]?.stringValue.flatMap { Int($0) }
        }
        #expect(taken.reduce(0, +) == owners.count, "round \(round)")
    }

    private func items(_ stream: LineStream, _ method: TandemAPI.Method) throws -> [JSONValue] {
        var items: [JSONValue] = []
        var params: JSONValue = ["limit": 5000]
        while true {
            let page = try #require(stream.call(method, params)?["result"])
            items += page["items"]?.arrayValue ?? []
            guard let next = page["continue"] else { return items }
            params["continue"] = next
        }
    }
}

/// A thread that is waited for.
private final class Worker: Sendable {
    private let done = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () -> Void) {
        Thread { [done] in
            body()
            done.signal()
        }.start()
    }

    func join() { done.wait() }
}
