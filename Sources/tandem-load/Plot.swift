import Glibc

/// A plot as SVG: some lines over one axis, the values on a scale from 0 or a logarithmic one.
struct Plot {
    struct Line {
        var name: String
        /// In order; nil where there is no value.
        var values: [Double?]
        /// The number of its colour: that of an earlier run has the one of its successor.
        var colour = 0
        /// Of an earlier run.
        var isOld = false
    }

    var title: String
    /// The label of each place of the axis.
    var labels: [String]
    var lines: [Line]
    var isLogarithmic = false
    /// Digits behind the point.
    var digits = 0

    private static let (width, height, left, right, top, bottom) = (900.0, 300.0, 64.0, 28.0, 16.0, 32.0)

    var svg: String {
        let values = lines.flatMap(\.values).compactMap { $0 }
        guard let highest = values.max(), highest > 0 else { return "<p>nothing was measured</p>" }
        let scale = Scale(values.filter { $0 > 0 }, isLogarithmic: isLogarithmic)
        let grid = scale.marks.map { mark in
            """
            <line class="grid" x1="\(Self.text(Self.left))" x2="\(Self.text(Self.width - Self.right))" y1="\(y(mark, scale))" y2="\(y(mark, scale))"/>\
            <text x="\(Self.text(Self.left - 8))" y="\(y(mark, scale))" dy="4" text-anchor="end">\(Self.short(mark))</text>
            """
        }
        let step = max(1, (labels.count + 11) / 12)
        let axis = labels.enumerated().filter { $0.offset % step == 0 }.map { index, label in
            "<text x=\"\(x(index))\" y=\"\(Self.text(Self.height - 10))\" text-anchor=\"middle\">\(label)</text>"
        }
        let drawn = lines.map { draw($0, scale) }
        let legend = lines.map { line in
            "<li class=\"\(Self.kind(line))\"><svg viewBox=\"0 0 24 8\"><line x1=\"0\" x2=\"24\" y1=\"4\" y2=\"4\"/></svg>\(line.name)</li>"
        }
        return """
            <figure><figcaption>\(title)</figcaption>
            <svg viewBox="0 0 \(Self.text(Self.width)) \(Self.text(Self.height))" role="img" aria-label="\(title)">
            \((grid + axis + drawn).joined(separator: "\n"))
            </svg>
            <ul>\(legend.joined())</ul></figure>
            """
    }

    private func draw(_ line: Line, _ scale: Scale) -> String {
        let points = line.values.enumerated().compactMap { index, value in value.map { "\(x(index)),\(y($0, scale))" } }
        let dots =
            points.count == 1
            ? "<circle r=\"3\" cx=\"\(points[0].prefix { $0 != "," })\" cy=\"\(points[0].drop { $0 != "," }.dropFirst())\"/>"
            : ""
        return
            "<g class=\"\(Self.kind(line))\"><polyline points=\"\(points.joined(separator: " "))\"/>\(dots)</g>"
    }

    private static func kind(_ line: Line) -> String { "line\(line.colour % 6)\(line.isOld ? " old" : "")" }

    private func x(_ index: Int) -> String {
        let share = labels.count > 1 ? Double(index) / Double(labels.count - 1) : 0.5
        return Self.text(Self.left + share * (Self.width - Self.left - Self.right))
    }

    private func y(_ value: Double, _ scale: Scale) -> String {
        Self.text(Self.height - Self.bottom - scale.share(of: value) * (Self.height - Self.top - Self.bottom))
    }

    private static func text(_ value: Double) -> String { Decimal.fixed(value, value == value.rounded() ? 0 : 1) }

    /// As few digits as tell the marks apart.
    private static func short(_ value: Double) -> String {
        let digits = value >= 10 || value == value.rounded() ? 0 : value >= 0.1 ? 1 : value >= 0.01 ? 2 : 3
        return Decimal.fixed(value, digits)
    }
}

/// Where values stand between the lower end of a plot, 0, and its upper end, 1.
struct Scale {
    let low: Double
    let high: Double
    let isLogarithmic: Bool

    /// Of values above 0, of which there is one at least.
    init(_ values: [Double], isLogarithmic: Bool) {
        self.isLogarithmic = isLogarithmic
        let (lowest, highest) = (values.min() ?? 1, values.max() ?? 1)
        if isLogarithmic {
            low = pow(10, floor(log10(lowest)))
            high = max(low * 10, pow(10, ceil(log10(highest))))
        } else {
            let step = Self.step(highest)
            (low, high) = (0, ceil(highest / step) * step)
        }
    }

    /// 1, 2 or 5 times a power of ten, of which four to ten make up the value.
    private static func step(_ value: Double) -> Double {
        let power = pow(10, floor(log10(value)))
        return power * (value / power >= 5 ? 1 : value / power >= 2 ? 0.5 : 0.2)
    }

    func share(of value: Double) -> Double {
        guard isLogarithmic else { return value / high }
        return max(0, (log10(max(value, low)) - log10(low)) / (log10(high) - log10(low)))
    }

    var marks: [Double] {
        guard isLogarithmic else {
            let step = Self.step(high)
            return (0...Int((high / step).rounded())).map { Double($0) * step }
        }
        return (0...Int((log10(high) - log10(low)).rounded())).map { low * pow(10, Double($0)) }
    }
}
