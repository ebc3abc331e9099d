import Foundation
import Ledger
import TandemAPI
import TestSupport
import Workloads

/// The pieces of a call that are not the allocator's or the disk's.
func callTable(rounds: Int) {
    let table = Table(
        "AllocateServiceIPs, dual-stack: rules and JSON", ["piece", "time", "Foundation's", "Foundation's over ours"])
    let message = SampleService.message()
    let asked = SampleService.decode(message)
    let decided = SampleService.decided
    let twin = FoundationTwin.reply(of: decided)
    let decode = Interleaved(
        rounds: rounds, calls: 1_000,
        [
            { for _ in 0..<$0 { keep(FoundationTwin.decode(message)) } },
            { for _ in 0..<$0 { keep(SampleService.decode(message)) } },
        ])
    table.row([
        "decode the message (\(message.count) bytes)", nanoseconds(decode.nanoseconds[1]),
        nanoseconds(decode.nanoseconds[0]), ratio(decode.ratios[1]),
    ])
    let encode = Interleaved(
        rounds: rounds, calls: 1_000,
        [
            { for _ in 0..<$0 { keep(FoundationTwin.encode(twin)) } },
            { for _ in 0..<$0 { keep(SampleService.encode(decided)) } },
        ])
    table.row([
        "encode the answer (\(SampleService.encode(decided).count) bytes)", nanoseconds(encode.nanoseconds[1]),
        nanoseconds(encode.nanoseconds[0]), ratio(encode.ratios[1]),
    ])
    let decide = Interleaved(rounds: rounds, calls: 1_000, [{ for _ in 0..<$0 { keep(SampleService.decide(asked)) } }])
    table.row(["decide", nanoseconds(decide.nanoseconds[0]), "", ""])
}

/// Processor time of the journal's own thread for a record: its coding, SQLite and the file system, and the copying of the log
/// that goes with it; the wait of a commit for the disk is not in it.
func journalTable(commits: Int) throws {
    let sizes = [1, 16, 64, 256]
    let table = Table("The journal", ["transactions a commit", "processor time a record", "a commit"])
    let scratch = ScratchDirectory()
    let logs = try sizes.map { try SQLiteLog(directory: "\(scratch.path)/\($0)") }
    var times = sizes.map { _ in [Double]() }
    var next = 0
    for _ in 0..<commits {
        for (index, size) in sizes.enumerated() {
            let group = SampleProposals.make(next..<next + size)
            next += size
            let start = Clock.thread.now
            logs[index].append(group)
            guard case .landed? = logs[index].next() else { preconditionFailure("the log can't commit") }
            _ = try logs[index].maintain(isIdle: false)
            times[index].append(Double(Clock.thread.now - start))
        }
    }
    for (index, size) in sizes.enumerated() {
        // The mean: the work of every 64th commit belongs to all of them.
        let mean = times[index].reduce(0, +) / Double(commits)
        table.row(["\(size)", microseconds(mean / Double(size)), microseconds(mean)])
        logs[index].close()
    }
    withExtendedLifetime(scratch) {}
}

/// So that the compiler can't leave out the computation of a value.
@inline(never)
private func keep<Value>(_ value: Value) { withExtendedLifetime(value) {} }
