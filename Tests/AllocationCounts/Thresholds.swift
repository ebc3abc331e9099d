import Foundation

/// How many allocations each hot path may make, by build: a debug build makes more.
struct Thresholds {
    struct NotAThreshold: Error { var line: String }

    private var limits: [String: Double] = [:]

    #if DEBUG
        private static let column = 1
    #else
        private static let column = 2
    #endif

    /// Lines of a name, its limit in a debug build, and its limit in a release build; `#` starts a comment.
    init(file: String) throws {
        for line in try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let name = words.first, !name.hasPrefix("#") else { continue }
            guard words.count == 3, let limit = Double(words[Self.column]) else {
                throw NotAThreshold(line: String(line))
            }
            limits[String(name)] = limit
        }
    }

    subscript(_ name: String) -> Double? { limits[name] }

    /// A count, without decimals where it has none.
    static func text(_ count: Double) -> String {
        count == count.rounded() ? String(Int(count)) : String(format: "%.2f", count)
    }
}
