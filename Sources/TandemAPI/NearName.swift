extension String {
    /// The name that this one was probably meant to be: the nearest, if it is near; of several the first in the alphabet. O(names · length²).
    public func nearest(of names: some Sequence<String>) -> String? {
        // A name far longer than any that there is was meant to be none of them.
        guard utf8.count <= 128 else { return nil }
        let near = names.map { (distance: distance(to: $0), name: $0) }.min { $0 < $1 }
        return near.flatMap { $0.distance <= Swift.min(4, count / 2) ? $0.name : nil }
    }

    /// Edits (insert, delete, replace) that turn one name into the other: Levenshtein's distance. O(m·n).
    private func distance(to other: String) -> Int {
        let other = Array(other)
        var row = Array(0...other.count)
        for (i, character) in enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for j in other.indices {
                let replaced = diagonal + (character == other[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = Swift.min(replaced, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[other.count]
    }
}
