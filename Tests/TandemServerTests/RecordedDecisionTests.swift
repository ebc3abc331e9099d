import Foundation
import ServerSupport
import ServiceDecisions
import TandemAPI
import TestSupport
import Testing

/// A real server, asked over the stream. Cases on the same ranges share one, each in a namespace of its own.
private final class DecidingServer: ServiceDecider {
    private let directory = ScratchDirectory()
    private var process: ServerProcess
    private var stream: LineStream
    var namespace = "default"

    init(_ ranges: [String]) throws {
        process = try ServerProcess(directory.path, Self.flags(ranges))
        stream = try LineStream(port: process.port)
        guard case .service = try create(kubernetesService(ranges)) else { throw NoAnswer() }
    }

    struct NoAnswer: Error {}

    private static func flags(_ ranges: [String]) -> [String] {
        ["--service-cluster-ip-range=\(ranges.joined(separator: ","))", "--service-node-port-range=30000-32767"]
    }

    func create(_ service: JSONValue) throws -> DecisionAnswer {
        try answer(.allocateServiceIPs, service)
    }

    func replace(_ service: JSONValue) throws -> DecisionAnswer {
        try answer(.updateServiceIPs, service)
    }

    func get(_ name: String) throws -> DecisionAnswer {
        try answer(.getService, ["metadata": ["name": .string(name)]])
    }

    func release(_ name: String) throws -> Int {
        let service: JSONValue = ["metadata": ["name": .string(name), "namespace": .string(namespace)]]
        guard let released = stream.call(.release, ["service": service])?["result"]?["released"]?.arrayValue else {
            throw NoAnswer()
        }
        return released.count
    }

    func restart(_ ranges: [String]) throws {
        guard process.stop() == 0 else { throw NoAnswer() }
        process = try ServerProcess(directory.path, Self.flags(ranges))
        stream = try LineStream(port: process.port)
    }

    private func answer(_ method: TandemAPI.Method, _ service: JSONValue) throws -> DecisionAnswer {
        let service = service.merging(["metadata": ["namespace": .string(namespace)]])
        let answer = stream.call(method, ["service": service])
        if let service = answer?["result"]?["service"] { return .service(service) }
        guard let data = answer?["error"]?["data"], let status = data["status"]?.stringValue else { throw NoAnswer() }
        let causes = (data["causes"]?.arrayValue ?? []).map {
            "\($0["field"]?.stringValue ?? "") \($0["reason"]?.stringValue ?? "")"
        }
        return .refused(status: status, causes: causes.sorted())
    }
}

@Suite("A server agrees with kube-apiserver", .serialized)
struct RecordedDecisionTests {
    @Test("every recorded case, over the wire")
    func agreesWithAll() throws {
        var disagreements: [String] = []
        var shared: [[String]: DecidingServer] = [:]
        for (index, decision) in DecisionCase.all.enumerated() {
            let server =
                try decision.restarts
                ? DecidingServer(decision.ranges)
                : shared[decision.ranges]
                    ?? DecidingServer(decision.ranges)
            if !decision.restarts { shared[decision.ranges] = server }
            server.namespace = decision.restarts ? "default" : "case-\(index)"
            disagreements += try play(decision, on: server)
        }
        let count = DecisionCase.all.count
        print("a server: \(count - disagreements.count) of \(count) recorded cases agree")
        #expect(count > 1_500)
        #expect(disagreements.isEmpty, "\(disagreements.prefix(20).joined(separator: "\n"))")
    }

    /// A server draws at random. Where it drew an address that the case names later the case says nothing: it is played
    /// again, which is likely to go well.
    private func play(_ decision: DecisionCase, on server: DecidingServer) throws -> [String] {
        var runner = DecisionRunner(decision, on: server)
        for _ in 0..<5 {
            runner = DecisionRunner(decision, on: server)
            try runner.run()
            for name in runner.leftovers { _ = try server.release(name) }
            guard !runner.disagreements.isEmpty, runner.drewLiteral, !decision.restarts else { break }
        }
        return runner.disagreements
    }
}
