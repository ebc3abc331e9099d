import Foundation
import TestSupport

// Prints the tables of the benchmark document, each of whose lines was measured in turns in this one run.
//
//   ratios [--quick]            all tables; quick: fewer rounds, no recovery of a million
//   ratios recover DIRECTORY    starts an engine on a data directory, and prints its cost (for the table)

let arguments = CommandLine.arguments.dropFirst()
if arguments.first == "recover", let directory = arguments.dropFirst().first {
    try recover(directory)
    exit(0)
}
let isQuick = arguments.contains("--quick")
let rounds = isQuick ? 11 : 61
allocatorTable(rounds: rounds)
coresTable(rounds: isQuick ? 3 : 7)
fullTable(rounds: rounds)
callTable(rounds: rounds)
try journalTable(commits: isQuick ? 40 : 200)
try recoveryTable(sizes: isQuick ? [100_000] : [100_000, 1_000_000])
