import TandemAPI

/// The output of `describe` for one object: labels, and beside each one value or more, a line each.
struct Details {
    private var lines: [(label: String, values: [String])] = []

    /// Without a value nothing is said; `<none>` stands where a person looks for it.
    mutating func add(_ label: String, _ values: [String], orNone: Bool = false) {
        guard !values.isEmpty || orNone else { return }
        lines.append((label, values.isEmpty ? ["<none>"] : values))
    }

    mutating func add(_ label: String, _ value: String?, orNone: Bool = false) {
        add(label, value.map { [$0] } ?? [], orNone: orNone)
    }

    var text: String {
        let width = (lines.map(\.label.count).max() ?? 0) + 4
        return lines.map { label, values in
            values.enumerated().map { index, value in
                let head = index == 0 ? label + ":" : ""
                return head + String(repeating: " ", count: width - head.count) + value.visible + "\n"
            }.joined()
        }.joined()
    }
}
