import Foundation

/// One table of the document, printed line by line as its figures come.
struct Table {
    init(_ title: String, _ columns: [String]) {
        print("\n### \(title)\n")
        row(columns)
        row(columns.map { _ in "---" })
    }

    func row(_ cells: [String]) {
        print("| " + cells.joined(separator: " | ") + " |")
        // A user who waits for the next figure sees the last one.
        fflush(nil)
    }
}

func nanoseconds(_ value: Double) -> String { String(format: value < 1_000 ? "%.1f ns" : "%.0f ns", value) }

func microseconds(_ nanoseconds: Double) -> String { String(format: "%.1f µs", nanoseconds / 1_000) }

func ratio(_ value: Double) -> String { String(format: "%.2f", value) }
