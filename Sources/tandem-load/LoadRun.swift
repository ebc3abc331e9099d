import Foundation
import NIOCore
import NIOPosix
import OpenSSLTLS
import TandemAPI
import TandemClient

/// A run from its first connection to its verdict.
struct LoadRun {
    let plan: LoadPlan
    /// Shows a line of progress; replaced by the next one.
    let progress: @Sendable (String) -> Void

    /// Throws `LoadFailure`, `ClientError`, `APIError`, and `CancellationError` when the task is cancelled: then no connection
    /// is open any more, and no request is in flight.
    func run() async throws -> LoadResult {
        let description = try await RunDescription(plan)
        return plan.workload == .handshakes ? try await handshakes(description) : try await calls(description)
    }

    // MARK: Calls

    private func calls(_ description: RunDescription) async throws -> LoadResult {
        let connections = try await connect()
        let elapsed: TimeAmount
        do {
            elapsed = try await load(connections)
        } catch {
            // An answer that is waited for is of a call that the server has carried out: objects that are removed from here
            // on stay removed.
            try? await drain(connections)
            await close(connections)
            throw error
        }
        try await drain(connections)

        var result = LoadResult(plan: plan, run: description, elapsed: elapsed)
        var held: [String: [UInt8]] = [:]
        var unsettled: Set<String> = []
        for connection in connections {
            let state = try await connection.result()
            result.measurements.add(state.measured)
            if let failure = state.failure { result.faults.append("a connection failed: \(failure)") }
            held.merge(state.script.held) { first, _ in first }
            unsettled.formUnion(state.script.unsettled)
        }
        await close(connections)
        if plan.ignoresAnswers { return result }
        progress("verifying the stored objects")
        result.faults += try await Verification(plan).faults(held: held, unsettled: unsettled)
        return result
    }

    /// Sends calls until the time of the plan is over, and returns how long was measured. Throws `CancellationError` when
    /// the task is cancelled.
    private func load(_ connections: [BoundConnection]) async throws -> TimeAmount {
        if plan.workload == .churn { try await fillUp(connections) }
        progress("warming up")
        for connection in connections { connection.begin(.warmingUp) }
        try await Task.sleep(nanoseconds: UInt64(plan.warmUp.nanoseconds))
        for connection in connections { connection.begin(.measuring) }
        let started = NIODeadline.now()
        var (seconds, before) = (0, 0)
        while NIODeadline.now() < started + plan.duration {
            let left = started + plan.duration - .now()
            try await Task.sleep(nanoseconds: UInt64(max(1, min(left.nanoseconds, 1_000_000_000))))
            seconds += 1
            let calls = try await connections.asyncSum { try await $0.calls() }
            progress("\(seconds) s: \(calls - before) calls/s")
            before = calls
        }
        return NIODeadline.now() - started
    }

    /// Ends the sending on all connections at once, as none may send more while another one is waited for, and waits for the
    /// answers of the requests in flight.
    private func drain(_ connections: [BoundConnection]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for connection in connections { tasks.addTask { try await connection.drain() } }
            try await tasks.waitForAll()
        }
    }

    private func close(_ connections: [BoundConnection]) async {
        await withTaskGroup(of: Void.self) { tasks in
            for connection in connections { tasks.addTask { await connection.close() } }
        }
    }

    private func connect() async throws -> [BoundConnection] {
        let tls = try tlsContexts()
        var connections: [BoundConnection] = []
        for number in 0..<plan.connections {
            try Task.checkCancellation()
            connections.append(try await BoundConnection.connect(plan, number, tls))
            if number % 100 == 99 { progress("\(number + 1) connections") }
        }
        return connections
    }

    /// For each server's host.
    private func tlsContexts() throws -> [String: TLSContext] {
        var contexts: [String: TLSContext] = [:]
        for server in plan.target.servers where contexts[server.host] == nil {
            contexts[server.host] = try plan.target.tlsContext(
                for: server, plan.transport == .stream ? "jsonrpc" : "http/1.1")
        }
        return contexts
    }

    /// Brings the smaller Service range to where `churn` keeps it.
    private func fillUp(_ connections: [BoundConnection]) async throws {
        let client = try await TandemClient.connect(plan.target)
        let pools = try await client.pools(.service)
        await client.close()
        let counts = pools.compactMap { pool -> (Double, Double)? in
            guard let capacity = pool["capacity"]?.stringValue.flatMap(Double.init),
                let allocated = pool["allocated"]?.stringValue.flatMap(Double.init)
            else { return nil }
            return (capacity, allocated)
        }
        guard let (capacity, allocated) = counts.min(by: { $0.0 < $1.0 }) else {
            throw LoadFailure(description: "the server has no Service range")
        }
        let target = Int(max(1, capacity * plan.fill / 100 - allocated)) / plan.connections
        for connection in connections { connection.begin(.warmingUp, target: max(1, target)) }
        var last = -1
        while true {
            try await Task.sleep(nanoseconds: 200_000_000)
            let held = try await connections.asyncSum { try await $0.held() }
            progress("filling: \(held) of \(target * plan.connections)")
            if held >= target * plan.connections * 99 / 100 || held == last { return }
            last = held
        }
    }

    // MARK: Handshakes

    private func handshakes(_ description: RunDescription) async throws -> LoadResult {
        let tls = try tlsContexts()
        var result = LoadResult(plan: plan, run: description, elapsed: plan.duration)
        let end = NIODeadline.now() + plan.duration
        let started = NIODeadline.now()
        try await withThrowingTaskGroup(of: Measurements.self) { tasks in
            for number in 0..<plan.connections {
                tasks.addTask {
                    var measured = Measurements()
                    while NIODeadline.now() < end {
                        try Task.checkCancellation()
                        let start = NIODeadline.now()
                        let connection = try await BoundConnection.connect(plan, number, tls)
                        let now = NIODeadline.now()
                        await connection.close()
                        measured.record(
                            LoadRequest(kind: .handshake, message: []), latency: now - start, sinceSent: now - start,
                            at: Int((now - started).nanoseconds / 1_000_000_000), refused: 0, nil)
                    }
                    return measured
                }
            }
            for try await measured in tasks { result.measurements.add(measured) }
        }
        result.elapsed = NIODeadline.now() - started
        return result
    }
}

/// A connection with the event loop that it lives on.
struct BoundConnection: Sendable {
    private let channel: any Channel
    private let handler: NIOLoopBound<LoadConnection>

    static func connect(
        _ plan: LoadPlan, _ number: Int, _ tls: [String: TLSContext]
    ) async throws -> BoundConnection {
        let server = plan.server(of: number)
        do {
            return try await open(plan, number, server, tls[server.host]!)
        } catch let failure as LoadFailure {
            throw failure
        } catch {
            throw LoadFailure(description: "can't reach the server \(server): \(error)")
        }
    }

    private static func open(
        _ plan: LoadPlan, _ number: Int, _ server: ServerAddress, _ tls: TLSContext
    ) async throws -> BoundConnection {
        let (channel, handler) = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: server.host, port: server.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let ready = channel.eventLoop.makePromise(of: Void.self)
                    let handler = LoadConnection(plan, connection: number, ready: ready)
                    try channel.pipeline.syncOperations.addHandlers([TLSHandler(context: tls), handler])
                    return (channel, NIOLoopBound(handler, eventLoop: channel.eventLoop))
                }
            }
        try await channel.eventLoop.flatSubmit { handler.value.ready.futureResult }.get()
        return BoundConnection(channel: channel, handler: handler)
    }

    func begin(_ phase: LoadConnection.Phase, target: Int? = nil) {
        channel.eventLoop.execute {
            if let target { handler.value.set(target: target) }
            handler.value.begin(phase)
        }
    }

    func drain() async throws { try await channel.eventLoop.flatSubmit { handler.value.drain() }.get() }

    func calls() async throws -> Int { try await channel.eventLoop.submit { handler.value.calls }.get() }

    func held() async throws -> Int { try await channel.eventLoop.submit { handler.value.script.held.count }.get() }

    func result() async throws -> (measured: Measurements, script: Script, failure: String?) {
        try await channel.eventLoop.submit {
            (handler.value.measured, handler.value.script, handler.value.failure)
        }.get()
    }

    func close() async { try? await channel.close().get() }
}

extension Sequence {
    fileprivate func asyncSum(_ value: (Element) async throws -> Int) async throws -> Int {
        var sum = 0
        for element in self { sum += try await value(element) }
        return sum
    }
}
