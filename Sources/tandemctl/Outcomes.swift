import ClientOptions
import Foundation
import TandemAPI

/// Prints the outcomes of many objects in their order, in whatever order they finish; on a terminal also how many are.
struct Outcomes {
    private var waiting: [Int: Result<String?, APIError>] = [:]
    private var noted = 0
    private var next = 0
    private let labels: [String]
    /// Those of manifests say where these are, also where there is one alone.
    private let areFromFiles: Bool
    private var firstError: APIError?
    private var failures = 0
    private let showsProgress: Bool

    init(_ objects: [Manifest]) {
        labels = objects.map(\.title)
        areFromFiles = objects.contains { $0.place != nil }
        showsProgress = labels.count > Batches.maximumCalls && isatty(STDERR_FILENO) == 1
    }

    /// A line for the outcome, nil for none.
    mutating func note(_ outcomes: [(index: Int, result: Result<String?, APIError>)]) {
        clear()
        for outcome in outcomes { waiting[outcome.index] = outcome.result }
        noted += outcomes.count
        while let result = waiting.removeValue(forKey: next) {
            tell(result, labels[next])
            next += 1
        }
        if showsProgress, noted < labels.count { Output.showProgress("\(noted) of \(labels.count)") }
    }

    /// Nothing more will come, though it may be that not all is there.
    mutating func stop() {
        clear()
        for (index, result) in waiting.sorted(by: { $0.key < $1.key }) { tell(result, labels[index]) }
        waiting = [:]
    }

    private mutating func tell(_ result: Result<String?, APIError>, _ label: String) {
        switch result {
        case .success(let line): if let line { print(line.visible) }
        case .failure(let error): complain(error, label)
        }
    }

    private mutating func complain(_ error: APIError, _ label: String) {
        failures += 1
        firstError = firstError ?? error
        guard labels.count > 1 || areFromFiles else { return }
        Output.complain("\(label):")
        guard labels.count > 1 else { return }
        if let failure = Failure(error) { Output.complain(lines: failure.text) }
    }

    /// The progress line goes, where there is one.
    private func clear() {
        if showsProgress { Output.showProgress() }
    }

    /// Throws where one of them failed.
    func finish(_ verb: String) throws {
        guard let firstError else { return }
        guard labels.count > 1 else { throw firstError }
        throw Failure(status: Failure.refused, "error: \(failures) of \(labels.count) objects could not be \(verb)")
    }
}
