import Histogram
import TandemAPI

/// A page with the figures and plots, drawn in SVG: it opens anywhere, without a network.
struct HTMLReport {
    let result: LoadResult
    let comparison: Comparison?

    var text: String {
        """
        <!doctype html>
        <html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>tandem-load \(result.run.date)</title>
        <style>\(Self.style)</style>
        <h1>tandem-load: \(Self.escaped(result.plan.workload.rawValue))</h1>
        <dl>\(facts)</dl>
        <pre>\(Self.escaped(result.table))</pre>
        \(comparison.map(Self.compared) ?? "")
        \(throughput.svg)
        \(overTime.svg)
        \(latency.svg)
        </html>

        """
    }

    private static let style = """
        :root { color-scheme: light dark; --text: light-dark(#1b212b, #dfe4ec); --faint: light-dark(#5d6878, #8f9bad);
          --line: light-dark(#dde1e7, #2a313c); --panel: light-dark(#f4f5f7, #181c23);
          --c0: light-dark(#1d5fbf, #7ab0ff); --c1: light-dark(#b35c00, #f0a24a); --c2: light-dark(#1c7c4a, #56c288);
          --c3: light-dark(#8a3fb0, #cf92f0); --c4: light-dark(#b3261e, #ff8078); --c5: light-dark(#5d6878, #8f9bad) }
        body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: var(--text);
          background: light-dark(#fff, #101318); font-variant-numeric: tabular-nums }
        h1 { font-size: 1.3em } h2, figcaption { font-size: 1em; font-weight: 600; margin: 1.6em 0 .4em }
        pre { background: var(--panel); padding: 1em; overflow: auto; border-radius: 4px }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1.5em } dt { color: var(--faint) } dd { margin: 0 }
        table { border-collapse: collapse } td, th { padding: .2em 1.2em .2em 0; text-align: right; font-weight: 400 }
        th { color: var(--faint) } td:first-child, th:first-child { text-align: left }
        tr + tr { border-top: 1px solid var(--line) }
        figure { margin: 0 } figure > svg { width: 100%; height: auto } text { font-size: 12px; fill: var(--faint) }
        .grid { stroke: var(--line) } polyline { fill: none; stroke-width: 2; stroke-linejoin: round } li line { stroke-width: 2 }
        figure ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.5em; padding: 0; margin: 0; color: var(--faint) }
        li svg { width: 24px; height: 8px; margin-right: .5em } .old { opacity: .6; stroke-dasharray: 5 4 }
        .line0 { stroke: var(--c0) } .line1 { stroke: var(--c1) } .line2 { stroke: var(--c2) } .line3 { stroke: var(--c3) }
        .line4 { stroke: var(--c4) } .line5 { stroke: var(--c5) } circle { fill: currentColor } .less { color: var(--c2) } .more { color: var(--c4) }
        """

    private var facts: String {
        let settings = result.plan.settings.map { ($0.name, $0.value.stringValue ?? $0.value.text.description) }
        return settings.map { "<dt>\(Self.escaped($0.0))</dt><dd>\(Self.escaped($0.1))</dd>" }.joined(separator: "\n")
    }

    private static func compared(_ comparison: Comparison) -> String {
        let rows = comparison.rows.map { row -> String in
            let digits = row.unit == "ms" ? 3 : 0
            let change = row.change ?? 0
            let isBetter = row.unit == "ms" ? change < 0 : change > 0
            let kind = abs(change) < 5 ? "" : " class=\"\(isBetter ? "less" : "more")\""
            return """
                <tr><td>\(escaped(row.name))</td><td>\(Decimal.fixed(row.old, digits))</td><td>\(Decimal.fixed(row.new, digits))</td>\
                <td>\(row.unit)</td><td\(kind)>\(change >= 0 ? "+" : "")\(Decimal.fixed(change, 1)) %</td></tr>
                """
        }
        let others = comparison.otherSettings.map { "<p>other setting: \(escaped($0))</p>" }
        return """
            <h2>Compared with the run \(escaped(comparison.oldDate))</h2>
            \(others.joined())
            <table><tr><th></th><th>then</th><th>now</th><th></th><th>change</th></tr>
            \(rows.joined(separator: "\n"))
            </table>
            """
    }

    // MARK: Plots

    /// The last second is seldom whole.
    private func wholeSeconds<Value>(_ seconds: [Value]) -> [Value] {
        Array(seconds.count > 1 ? seconds.dropLast() : seconds[...])
    }

    private func seconds(_ count: Int) -> [String] { (0..<count).map { "\($0 + 1) s" } }

    private var throughput: Plot {
        let calls = wholeSeconds(result.measurements.seconds.map { Double($0.calls) })
        var lines = [Plot.Line(name: "calls", values: calls)]
        if let old = comparison?.old["perSecond"]?.arrayValue {
            lines.append(Plot.Line(name: "then", values: wholeSeconds(old).map { Self.number($0) }, isOld: true))
        }
        return Plot(title: "Calls in each second", labels: seconds(lines.map(\.values.count).max() ?? 0), lines: lines)
    }

    private var overTime: Plot {
        let now = wholeSeconds(result.json["secondMicroseconds"]?.arrayValue ?? [])
        let old = comparison.map { wholeSeconds($0.old["secondMicroseconds"]?.arrayValue ?? []) } ?? []
        func lines(_ seconds: [JSONValue], _ suffix: String, isOld: Bool) -> [Plot.Line] {
            guard !seconds.isEmpty else { return [] }
            return LoadResult.overTime.enumerated().map { colour, percentile in
                Plot.Line(
                    name: LoadResult.title(percentile) + suffix,
                    values: seconds.map { Self.number($0[LoadResult.plain(percentile)]).map { $0 / 1_000 } },
                    colour: colour, isOld: isOld)
            }
        }
        return Plot(
            title: "Latency in each second, milliseconds", labels: seconds(max(now.count, old.count)),
            lines: lines(now, "", isOld: false) + lines(old, " then", isOld: true), isLogarithmic: true)
    }

    /// Over the number of nines, so that the tail has as much room as the rest.
    private static let places: [Double] = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99]

    private var latency: Plot {
        func line(_ name: String, _ latency: Histogram<UInt64>, _ colour: Int) -> Plot.Line {
            let values = Self.places.map { Double(latency.valueAtPercentile($0)) / 1_000 }
            return Plot.Line(name: name, values: values, colour: colour)
        }
        let methods = result.methods
        var lines = [line("all", result.measurements.latency, 0)]
        if methods.count > 1 { lines += methods.enumerated().map { line($1.name, $1.latency, $0 + 1) } }
        if let old = comparison?.old["latencyMicroseconds"] {
            lines.append(
                Plot.Line(
                    name: "all then",
                    values: Self.places.map { Self.number(old[LoadResult.plain($0)]).map { $0 / 1_000 } }, isOld: true))
        }
        return Plot(
            title: "Latency by percentile, milliseconds", labels: Self.places.map { "p\(LoadResult.plain($0))" },
            lines: lines, isLogarithmic: true)
    }

    private static func number(_ value: JSONValue?) -> Double? {
        if case .number(let digits) = value { Double(digits) } else { nil }
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
    }
}
