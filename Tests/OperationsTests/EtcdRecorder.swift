import Foundation
import Histories
import NIOCore
import OpenSSLTLS
import Synchronization
import TandemAPI
import TandemClient
import TestSupport

/// Four clients that ask servers of a fleet for few names, and ask the next one again where they get no answer; a fault comes in
/// between.
final class EtcdRecorder: Sendable {
    private static let clients = 4
    private static let callsPerClient = 16
    /// Answers behind which the fault begins, and ends.
    private static let faultBegins = 8
    private static let faultEnds = 40
    /// For which a client asks again.
    private static let patience = Duration.seconds(60)
    static let names = 3

    private let fleet: EtcdFleet
    private let fault: EtcdFleet.Fault?
    private let round: Int
    private let seed: UInt64
    private let clock = Atomic<Int>(0)
    private let answers = Atomic<Int>(0)
    private let operations = Mutex<[RecordedCall]>([])

    init(_ fleet: EtcdFleet, _ fault: EtcdFleet.Fault?, round: Int, seed: UInt64) {
        self.fleet = fleet
        self.fault = fault
        self.round = round
        self.seed = seed
    }

    struct NoAnswer: Error {}

    func record() async throws -> [RecordedCall] {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<Self.clients { group.addTask { try await self.ask(client) } }
            try await group.waitForAll()
        }
        return operations.withLock { $0 }
    }

    private func ask(_ client: Int) async throws {
        var generator = SeededGenerator(seed: seed &+ UInt64(round) &* 0x9e37 &+ UInt64(client))
        let connections = Connections(fleet)
        for _ in 0..<Self.callsPerClient {
            let act = RecordedCall.Act.allCases.randomElement(using: &generator)!
            let name = Int.random(in: 0..<Self.names, using: &generator)
            // Any server, so that the next one must know the changes of another.
            try await ask(
                act, name, isNodePort: Bool.random(using: &generator), connections,
                from: Int.random(in: 0..<fleet.ports.count, using: &generator))
            let count = answers.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
            guard let fault else { continue }
            if count == Self.faultBegins { await fleet.begin(fault) }
            if count == Self.faultEnds { try await fleet.end(fault) }
        }
        await connections.close()
    }

    private func ask(
        _ act: RecordedCall.Act, _ name: Int, isNodePort: Bool, _ connections: Connections, from first: Int
    ) async throws {
        var server = first
        let start = ContinuousClock.now
        while .now - start < Self.patience {
            // Sequentially consistent: the order of these counts is the order of the recorded events.
            let invoked = clock.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
            let outcome = await connections.call(server, act, "r\(round)-n\(name)", isNodePort)
            let answered = clock.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
            if let outcome, outcome != .unknown || act != .read {
                operations.withLock {
                    $0.append(
                        RecordedCall(act: act, name: name, invoked: invoked, answered: answered, outcome: outcome))
                }
            }
            if let outcome, outcome != .unknown { return }
            server = (server + 1) % fleet.ports.count
            await Task.yield()
        }
        throw NoAnswer()
    }
}

/// One to each server, made when it is needed. Nothing is sent again by itself, so that each attempt is seen.
private actor Connections {
    private let fleet: EtcdFleet
    private var clients: [Int: TandemClient] = [:]

    init(_ fleet: EtcdFleet) { self.fleet = fleet }

    /// nil where it was not sent.
    func call(
        _ server: Int, _ act: RecordedCall.Act, _ name: String, _ isNodePort: Bool
    ) async -> RecordedCall.Outcome? {
        guard let client = await connect(server) else { return nil }
        let (method, params) = Self.request(act, name, isNodePort)
        do {
            return RecordedCall.outcome(act, .success(try await client.call(method, params, timeout: .seconds(3))))
        } catch let error as APIError {
            return error.status == .unavailable ? .unknown : RecordedCall.outcome(act, .failure(error))
        } catch {
            drop(server)
            return .unknown
        }
    }

    private func connect(_ server: Int) async -> TandemClient? {
        if let client = clients[server] { return client }
        let certificates = Certificates.shared
        var configuration = ClientConfiguration(
            host: "127.0.0.1", port: fleet.ports[server], caFile: certificates.ca,
            identity: TLSIdentity(
                certificateChainFile: certificates.certificate("admin"), privateKeyFile: certificates.key("admin")))
        configuration.comesBack = false
        clients[server] = try? await TandemClient.connect(configuration, timeout: .seconds(2))
        return clients[server]
    }

    private func drop(_ server: Int) {
        // Saying goodbye to a server that is stopped takes its time.
        if let client = clients.removeValue(forKey: server) { Task { await client.close() } }
    }

    func close() {
        for server in clients.keys { drop(server) }
    }

    private static func request(
        _ act: RecordedCall.Act, _ name: String, _ isNodePort: Bool
    ) -> (TandemAPI.Method, JSONValue) {
        let metadata: JSONValue = ["namespace": "default", "name": .string(name)]
        switch act {
        case .allocate: return (.allocateServiceIPs, ["service": ["metadata": metadata, "spec": [:]]])
        case .update:
            let type: JSONValue = isNodePort ? "NodePort" : "ClusterIP"
            return (
                .updateServiceIPs,
                ["service": ["metadata": metadata, "spec": ["type": type, "ports": [["port": 80]]]]]
            )
        case .release: return (.release, ["service": ["metadata": metadata]])
        case .read: return (.getService, ["service": ["metadata": metadata]])
        }
    }
}
