import Foundation
import ServerSupport
import Synchronization
import TandemAPI
import TestSupport
import Testing

/// `kill -9` at any moment loses nothing that was acknowledged, and gives nothing out twice.
@Suite("Crashes", .serialized)
struct CrashTests {
    /// What was acknowledged: name and addresses. Thread-safe.
    private final class Acknowledged: Sendable {
        private let services = Mutex<[String: [String]]>([:])
        var all: [String: [String]] { services.withLock { $0 } }
        func add(_ name: String, _ addresses: [String]) { services.withLock { $0[name] = addresses } }
        func remove(_ name: String) { services.withLock { _ = $0.removeValue(forKey: name) } }
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

    /// Allocates and releases on several pipelined connections, and kills the server once so many were acknowledged.
    private func load(_ server: ServerProcess, _ acknowledged: Acknowledged, _ round: Int) {
        let enough = 40 + round * 37 % 200
        let count = Atomic<Int>(0)
        let threads = (0..<3).map { connection in
            let (port, processID) = (server.port, server.processID)
            return Worker {
                guard let stream = try? LineStream(port: port) else { return }
                for step in 0... {
                    let name = "r\(round)-c\(connection)-\(step)"
                    let service: JSONValue = [
                        "service": ["metadata": ["name": .string(name)], "spec": ["ipFamilyPolicy": "PreferDualStack"]]
                    ]
                    guard let answer = stream.call(.allocateServiceIPs, service) else { return }
                    guard
                        let ips = answer["result"]?["service"]?["spec"]?["clusterIPs"]?.arrayValue?.compactMap(
                            \.stringValue)
                    else { return }
                    acknowledged.add(name, ips)
                    if step % 3 == 2 {
                        // A release that got no answer may have happened or not: forget the name before it is asked for.
                        acknowledged.remove(name)
                        guard stream.call(.release, ["service": ["metadata": ["name": .string(name)]]]) != nil else {
                            return
                        }
                    }
                    if count.wrappingAdd(1, ordering: .relaxed).newValue == enough { kill(processID, SIGKILL) }
                }
            }
        }
        for thread in threads { thread.join() }
        server.crash()
    }

    private func check(_ server: ServerProcess, _ acknowledged: [String: [String]], _ round: Int) throws {
        let stream = try LineStream(port: server.port)
        var stored: [String: [String]] = [:]
        var owners: [String: String] = [:]
        var params: JSONValue = ["limit": 5000]
        while true {
            let page = try #require(stream.call(.listServices, params)?["result"])
            for service in page["items"]?.arrayValue ?? [] {
                let name = service["metadata"]?["name"]?.stringValue ?? ""
                let ips = service["spec"]?["clusterIPs"]?.arrayValue?.compactMap(\.stringValue) ?? []
                stored[name] = ips
                for ip in ips {
                    #expect(owners.updateValue(name, forKey: ip) == nil, "round \(round): \(ip) has two owners")
                }
            }
            guard let next = page["continue"] else { break }
            params["continue"] = next
        }
        for (name, ips) in acknowledged { #expect(stored[name] == ips, "round \(round): \(name) was acknowledged") }
        let pools = try #require(stream.call(.getPools)?["result"]?["pools"]?.arrayValue)
        for pool in pools where pool["kind"] == "Service" {
            #expect(pool["allocated"]?.stringValue == String(stored.count), "round \(round)")
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
