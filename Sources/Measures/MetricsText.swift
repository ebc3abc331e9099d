/// The Prometheus text format, version 0.0.4.
package struct MetricsText {
    package private(set) var text = ""

    package init() {}

    package enum Kind: String { case counter, gauge, histogram }

    package typealias Labels = [(name: String, value: String)]

    /// One metric with all of its samples; labels in the order given. Nothing where there are no samples.
    package mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: Labels, value: String)]
    ) {
        guard !samples.isEmpty else { return }
        head(name, kind, help)
        for sample in samples { add(name, sample.labels, sample.value) }
    }

    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: some CustomStringConvertible) {
        add(name, kind, help, [([], value.description)])
    }

    /// A histogram for each set of labels, its observations divided by `unit`: 10^9 makes nanoseconds seconds.
    package mutating func add(
        _ name: String, _ help: String, unit: Double = 1, _ histograms: [(labels: Labels, values: Histogram.Snapshot)]
    ) {
        guard !histograms.isEmpty else { return }
        head(name, .histogram, help)
        for (labels, values) in histograms {
            var total: UInt64 = 0
            for (bound, count) in zip(values.bounds, values.counts) {
                total += count
                add(name + "_bucket", labels + [("le", Self.number(Double(bound) / unit))], String(total))
            }
            add(name + "_bucket", labels + [("le", "+Inf")], String(values.count))
            add(name + "_sum", labels, Self.number(Double(values.sum) / unit))
            add(name + "_count", labels, String(values.count))
        }
    }

    private mutating func head(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    private mutating func add(_ name: String, _ labels: Labels, _ value: String) {
        let labels = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    /// Whole numbers without a fraction, as Prometheus itself writes them.
    private static func number(_ value: Double) -> String {
        value == value.rounded() && value.magnitude < 1e15 ? String(Int(value)) : String(value)
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}
