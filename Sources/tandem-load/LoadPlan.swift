import ArgumentParser
import NIOCore
import TandemAPI
import TandemClient

/// The settings of a run, checked.
struct LoadPlan: Sendable {
    enum Transport: String, CaseIterable, Sendable, ExpressibleByArgument { case stream, http }

    enum Workload: String, CaseIterable, Sendable, ExpressibleByArgument {
        case services, pods, mixed, batch, churn, handshakes
    }

    var target: ClientConfiguration
    var transport: Transport
    var workload: Workload
    var connections: Int
    /// Requests in flight on a connection, in a closed loop.
    var pipeline: Int
    /// Requests a second over all connections, in an open loop; nil for a closed one.
    var rate: Double?
    var warmUp: TimeAmount
    var duration: TimeAmount
    var batchSize: Int
    /// Of a hundred calls of `mixed`: how many allocate, read, release.
    var shares: [Int]
    /// Of `churn`: how much of the smaller Service range is in use, in percent.
    var fill: Double
    var nodes: Int
    /// The one that the pods come and go on, as its agent has it; nil where they stay, on many.
    var node: String?
    /// Any answer will do for the oldest request: for measuring a server that answers all alike.
    var ignoresAnswers: Bool
    /// Tells this run's objects from all others.
    var run: String

    /// Where a connection goes: they are dealt out over the servers.
    func server(of connection: Int) -> ServerAddress { target.servers[connection % target.servers.count] }

    var namespace: String { "load-\(run)" }

    /// Of the nodes that the run makes, from 0 on.
    func nodeName(_ number: Int) -> String { "load-\(run)-\(number)" }
}
