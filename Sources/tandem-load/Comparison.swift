import ClientOptions
import TandemAPI
import YAMLDocuments

/// Two runs side by side: an earlier one as its report has it, and this one.
struct Comparison: Sendable {
    let old: JSONValue
    let new: JSONValue

    struct Row: Sendable {
        var name: String
        var old: Double
        var new: Double
        var unit: String

        /// In percent of the old one; nil where that is nothing.
        var change: Double? { old == 0 ? nil : (new - old) / old * 100 }
    }

    /// An earlier report. Throws `UsageError`. Blocks.
    static func read(_ file: String) throws -> JSONValue {
        let bytes: [UInt8]
        do throws(PlainFile.Fault) {
            bytes = try PlainFile.read(file)
        } catch {
            throw UsageError("--compare: \(file): \(error)")
        }
        guard let report = try? JSONValue(parsing: bytes), report["callsPerSecond"] != nil,
            report["latencyMicroseconds"] != nil
        else { throw UsageError("--compare: \(file): not a report that tandem-load --json wrote") }
        return report
    }

    /// Settings that differ between the runs: they may explain differences in the results.
    var otherSettings: [String] {
        let (old, new) = (old["settings"]?.objectValue, new["settings"]?.objectValue)
        guard let old, let new else { return [] }
        var names = old.members.map(\.name)
        names += new.members.map(\.name).filter { !names.contains($0) }
        return names.filter { $0 != "server" && old[$0] != new[$0] }
            .map { "\($0) \(Self.text(old[$0])) → \(Self.text(new[$0]))" }
    }

    private static func text(_ value: JSONValue?) -> String {
        value.map { $0.stringValue ?? $0.text.description } ?? "none"
    }

    var rows: [Row] {
        var rows: [Row] = []
        if let old = Self.number(old["callsPerSecond"]), let new = Self.number(new["callsPerSecond"]) {
            rows.append(Row(name: "throughput", old: old, new: new, unit: "calls/s"))
        }
        rows += latencies("", old["latencyMicroseconds"], new["latencyMicroseconds"])
        let methods = new["methodMicroseconds"]?.objectValue?.members ?? []
        for (name, latency) in methods where methods.count > 1 {
            rows += latencies("\(name) ", old["methodMicroseconds"]?[name], latency)
        }
        return rows
    }

    private func latencies(_ prefix: String, _ old: JSONValue?, _ new: JSONValue?) -> [Row] {
        LoadResult.percentiles.compactMap { percentile in
            let name = LoadResult.plain(percentile)
            guard let old = Self.number(old?[name]), let new = Self.number(new?[name]) else { return nil }
            return Row(
                name: prefix + LoadResult.title(percentile), old: old / 1_000, new: new / 1_000, unit: "ms")
        }
    }

    private static func number(_ value: JSONValue?) -> Double? {
        if case .number(let digits) = value { Double(digits) } else { nil }
    }

    var oldDate: String { old["date"]?.stringValue ?? "of no known date" }

    var table: String {
        let width = (rows.map(\.name.count).max() ?? 0) + 2
        func padded(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        var lines = ["", "compared with the run \(oldDate)"]
        lines += otherSettings.map { "  other setting: \($0)" }
        for row in rows {
            let digits = row.unit == "ms" ? 3 : 0
            let change = row.change.map { ($0 >= 0 ? "+" : "") + Decimal.fixed($0, 1) + " %" } ?? ""
            lines.append(
                "  " + row.name + String(repeating: " ", count: width - row.name.count)
                    + padded(Decimal.fixed(row.old, digits), 12) + padded(Decimal.fixed(row.new, digits), 12)
                    + " " + row.unit + "  " + padded(change, 15 - row.unit.count))
        }
        return lines.joined(separator: "\n")
    }
}
