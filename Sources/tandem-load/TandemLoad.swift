import ArgumentParser
import ClientOptions
import Foundation
import NIOCore
import TandemAPI
import TandemClient

/// `tandem-load`: puts load on a server, measures it, and checks afterwards that nothing was lost or given twice.
@main
struct TandemLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandem-load",
        abstract: "Puts load on a Tandem server, measures it, and verifies the result.",
        discussion: """
            A closed loop (the default) keeps --pipeline requests in flight on each of --connections; an open loop \
            (--rate) sends at a steady rate, and measures from when a request was due, so that a stall is not hidden.

            Workloads: services and pods allocate; mixed allocates, reads and releases by --shares; batch allocates \
            --batch-size Services a request; churn keeps the smaller Service range at --fill percent; handshakes \
            connects and shakes hands. Allocated objects, in the namespace load-RUN, are released at the end, unless --keep \
            is given or the check finds a fault. Ctrl-C (SIGINT) and SIGTERM end a run early and release them as well, without \
            figures; a second one ends the program at once.

            Exit status: 0 done, 1 the check at the end failed, 2 wrong usage, 3 server not reached, 130 ended by SIGINT, \
            143 by SIGTERM.
            """,
        version: BuildInfo.text)

    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    @Option(help: "stream or http.")
    var transport = LoadPlan.Transport.stream

    @Option(help: "services, pods, mixed, batch, churn or handshakes.")
    var workload = LoadPlan.Workload.services

    @Option(help: "Connections, 1 to 10,000. (default: 8)", transform: OptionValue.wholeNumber)
    var connections = 8

    @Option(
        help: "Requests in flight on each connection, 1 to 1,000. (default: 16)", transform: OptionValue.wholeNumber)
    var pipeline = 16

    @Option(help: "Requests a second of an open loop, over all connections.", transform: OptionValue.number)
    var rate: Double?

    @Option(help: "Seconds before the measuring. (default: 2)", transform: OptionValue.number)
    var warmUp = 2.0

    @Option(help: "Seconds of measuring. (default: 10)", transform: OptionValue.number)
    var duration = 10.0

    @Option(
        help: "Calls in a request of the workload batch, 1 to 1,000. (default: 100)", transform: OptionValue.wholeNumber
    )
    var batchSize = 100

    @Option(help: "Of a hundred calls of mixed: how many allocate, read and release.")
    var shares = "40,30,30"

    @Option(
        help: "How full churn keeps the smaller Service range, in percent. (default: 50)", transform: OptionValue.number
    )
    var fill = 50.0

    @Option(help: "Nodes that the pods are on. (default: 16)", transform: OptionValue.wholeNumber)
    var nodes = 16

    @Option(
        help: ArgumentHelp(
            "Act as this node's agent, with its certificate: pods are allocated and released on it.", valueName: "name")
    )
    var node: String?

    @Flag(help: "Match any answer to the oldest request: to measure a web server with a constant answer.")
    var ignoreAnswers = false

    @Flag(help: "Keep the allocated objects.")
    var keep = false

    @Option(
        help: ArgumentHelp("Also compare with an earlier run's report, as written by --json.", valueName: "file"))
    var compare: String?

    @Option(help: ArgumentHelp("Also write the result as JSON.", valueName: "file"))
    var json: String?

    @Option(help: ArgumentHelp("Also write a page with plots.", valueName: "file"))
    var html: String?

    @Flag(help: "No line of progress.")
    var quiet = false

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? TandemLoad { try await command.run() } else { try command.run() }
        } catch {
            leave(error)
        }
    }

    private static func leave(_ error: any Error) -> Never {
        let status: Int32
        switch error {
        case is UsageError: status = 2
        case is ClientError, is LoadFailure: status = 3
        case let code as ExitCode: Foundation.exit(code.rawValue)
        case is APIError: status = 1
        default:
            let isHelp = exitCode(for: error) == .success
            FileHandle(fileDescriptor: isHelp ? 1 : 2).write(Data((usageText(for: error).visibleLines + "\n").utf8))
            Foundation.exit(isHelp ? 0 : 2)
        }
        FileHandle.standardError.write(Data("error: \("\(error)".visible)\n".utf8))
        Foundation.exit(status)
    }

    mutating func run() async throws {
        let plan = try plan()
        let isQuiet = quiet
        let old = try compare.map(Comparison.read)
        let jsonFile = try json.map { try ReportFile($0, "--json") }
        let htmlFile = try html.map { try ReportFile($0, "--html") }
        let progress: @Sendable (String) -> Void = { line in
            if !isQuiet { FileHandle.standardError.write(Data("\r\u{1B}[K\(line.visible)".utf8)) }
        }
        let work = Task { try await LoadRun(plan: plan, progress: progress).run() }
        let interruption = await Interruption { work.cancel() }
        let result: LoadResult
        do {
            result = try await work.value
        } catch  where work.isCancelled {
            try await end(plan, interruption, progress)
        }
        progress("")
        let comparison = old.map { Comparison(old: $0, new: result.json) }
        print(result.table.visibleLines)
        if let comparison { print(comparison.table.visibleLines) }
        try jsonFile?.write(result.json.text.description + "\n")
        try htmlFile?.write(HTMLReport(result: result, comparison: comparison).text)
        if !result.faults.isEmpty { throw ExitCode(1) }
        guard isRemoving else { return }
        progress("releasing the allocated objects")
        let count = try await Removal(plan).run()
        progress("")
        print("removed       \(count) objects")
        if let status = interruption.status { throw ExitCode(status) }
    }

    /// Whether there is anything to remove at the end, and it is wanted.
    private var isRemoving: Bool { !keep && !ignoreAnswers && workload != .handshakes }

    /// The end of a run that a signal ended before its time.
    private func end(
        _ plan: LoadPlan, _ interruption: Interruption, _ progress: (String) -> Void
    ) async throws -> Never {
        progress("")
        var outcome = keep ? "objects in namespace \(plan.namespace) are kept" : "nothing was stored"
        if isRemoving {
            progress("interrupted: releasing the allocated objects")
            outcome = "\(try await Removal(plan).run()) objects removed"
            progress("")
        }
        FileHandle.standardError.write(Data("interrupted: \(outcome)\n".utf8))
        throw ExitCode(interruption.status ?? 1)
    }

    private func plan() throws -> LoadPlan {
        func check(_ isRight: Bool, _ message: String) throws { if !isRight { throw UsageError(message) } }
        let shares = shares.split(separator: ",").compactMap { Int($0) }
        try check((1...10_000).contains(connections), "--connections must be 1 to 10000, not \(connections)")
        try check((1...1_000).contains(pipeline), "--pipeline must be 1 to 1000, not \(pipeline)")
        try check((1...1_000).contains(batchSize), "--batch-size must be 1 to 1000, not \(batchSize)")
        try check(
            shares.count == 3 && shares.allSatisfy { $0 >= 0 } && shares.reduce(0, +) == 100,
            "--shares must be three numbers that add up to 100, as 40,30,30")
        try check(fill > 0 && fill <= 100, "--fill must be above 0 and at most 100, not \(fill)")
        try check(duration > 0 && warmUp >= 0, "--duration must be above 0, and --warm-up not below")
        try check(rate.map { $0 > 0 } ?? true, "--rate must be above 0")
        try check(nodes > 0, "--nodes must be above 0")
        try check(node == nil || workload == .pods, "--node goes with --workload pods")
        return LoadPlan(
            target: try connection.configuration(), transport: transport, workload: workload,
            connections: connections, pipeline: pipeline, rate: rate,
            warmUp: .nanoseconds(Int64(warmUp * 1e9)), duration: .nanoseconds(Int64(duration * 1e9)),
            batchSize: batchSize, shares: shares, fill: fill, nodes: nodes, node: node, ignoresAnswers: ignoreAnswers,
            run: String(UInt32.random(in: .min ... .max), radix: 36))
    }
}
