import Histogram

/// A page with the figures and two plots, drawn in SVG: it opens anywhere, without a network.
struct HTMLReport {
    let result: LoadResult

    var text: String {
        """
        <!doctype html>
        <html lang="en"><meta charset="utf-8"><title>tandem-load</title>
        <style>
          body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; color: #222 }
          pre { background: #f5f5f5; padding: 1em; overflow: auto }
          svg { width: 100%; height: auto; background: #fff } text { font-size: 12px; fill: #555 }
          .line { fill: none; stroke: #0a62c4; stroke-width: 2 } .axis { stroke: #ccc }
        </style>
        <h1>tandem-load</h1>
        <pre>\(Self.escaped(result.table))</pre>
        <h2>Throughput, calls in each second</h2>
        \(throughput)
        <h2>Latency by percentile, milliseconds</h2>
        \(latency)
        </html>

        """
    }

    private static let (width, height, margin) = (900.0, 320.0, 50.0)

    private var throughput: String {
        // The last second is seldom whole.
        let calls = result.measurements.perSecond.dropLast().map(Double.init)
        let top = max(1, calls.max() ?? 1)
        let points = calls.enumerated().map { second, value in
            (Double(second) / Double(max(1, calls.count - 1)), value / top, "\(second + 1) s")
        }
        return Self.plot(points, yTop: LoadResult.fixed(top, 0), xLabels: points.count > 12 ? 6 : points.count)
    }

    /// Over the number of nines, so that the tail has as much room as the rest.
    private var latency: String {
        let histogram = result.measurements.latency
        let percentiles = [0.0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99]
        let top = max(1, Double(histogram.valueAtPercentile(percentiles.last ?? 100)))
        let points = percentiles.enumerated().map { index, percentile in
            (
                Double(index) / Double(percentiles.count - 1),
                Double(histogram.valueAtPercentile(percentile)) / top, "p\(percentile)"
            )
        }
        return Self.plot(points, yTop: LoadResult.fixed(top / 1_000, 3), xLabels: points.count)
    }

    private static func plot(_ points: [(x: Double, y: Double, label: String)], yTop: String, xLabels: Int) -> String {
        func x(_ value: Double) -> String { LoadResult.fixed(margin + value * (width - 2 * margin), 1) }
        func y(_ value: Double) -> String { LoadResult.fixed(height - margin - value * (height - 2 * margin), 1) }
        let line = points.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
        let step = max(1, points.count / max(1, xLabels))
        let labels = points.enumerated().filter { $0.offset % step == 0 }.map { _, point in
            "<text x=\"\(x(point.x))\" y=\"\(LoadResult.fixed(height - 28, 0))\" text-anchor=\"middle\">\(point.label)</text>"
        }
        return """
            <svg viewBox="0 0 \(LoadResult.fixed(width, 0)) \(LoadResult.fixed(height, 0))">
            <line class="axis" x1="\(x(0))" y1="\(y(0))" x2="\(x(1))" y2="\(y(0))"/>
            <line class="axis" x1="\(x(0))" y1="\(y(0))" x2="\(x(0))" y2="\(y(1))"/>
            <text x="\(x(0))" y="\(LoadResult.fixed(margin - 10, 0))" text-anchor="middle">\(yTop)</text>
            <polyline class="line" points="\(line)"/>
            \(labels.joined(separator: "\n"))
            </svg>
            """
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
    }
}
