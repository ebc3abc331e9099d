extension String {
    /// The name that this one was probably meant to be: the nearest, if it is near; of several the first in the alphabet. O(names · length²).
    public func nearest(of names: some Sequence<String>) -> String? {
        // A name far longer than any that there is was meant to be none of them.
        guard utf8.count <= 128 else { return nil }
        let near = names.map { (distance: distance(to: $0), name: $0) }.min { $0 < $1 }
        return near.flatMap { $0.distance <= Swift.min(4, count / 2) ? $0.name : nil }
    }

    /// Edits (insert, delete, replace, exchange two neighbours) that turn one name into the other: Damerau's and Levenshtein's distance.
    /// O(m·n).
    private func distance(to other: String) -> Int {
        let (own, other) = (Array(self), Array(other))
        var (before, last) = ([Int](), Array(0...other.count))
        for i in own.indices {
            var row = [i + 1]
            for j in other.indices {
                var edits = Swift.min(last[j] + (own[i] == other[j] ? 0 : 1), row[j] + 1, last[j + 1] + 1)
                if i > 0, j > 0, own[i] == other[j - 1], own[i - 1] == other[j] {
                    edits = Swift.min(edits, before[j - 1] + 1)
                }
                row.append(edits)
            }
            (before, last) = (last, row)
        }
        return last[other.count]
    }
}
