import Foundation
import TestSupport

// Counts the heap allocations of the hot paths, one line each: name, allocations a call. With a file of thresholds as its
// argument it holds them to that and ends with 1 where one is passed.

let scratch = ScratchDirectory()
let counts = withExtendedLifetime(scratch) {
    HotPath.all { "\(scratch.path)/\($0)" }.map { ($0.name, $0.allocationsPerCall()) }
}
guard CommandLine.arguments.count > 1 else {
    for (name, count) in counts { print(name, Thresholds.text(count)) }
    exit(0)
}
let thresholds = try Thresholds(file: CommandLine.arguments[1])
var isPassed = true
for (name, count) in counts {
    guard let threshold = thresholds[name] else {
        print("\(name): \(Thresholds.text(count)), and no threshold is given for it")
        isPassed = false
        continue
    }
    let verdict = count <= threshold ? "" : ": too many"
    print("\(name): \(Thresholds.text(count)) of at most \(Thresholds.text(threshold))\(verdict)")
    if count > threshold { isPassed = false }
}
exit(isPassed ? 0 : 1)
