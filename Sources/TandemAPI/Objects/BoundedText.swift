extension String {
    /// At most so many bytes of UTF-8: cut between two Unicode scalars, with … at the cut. O(maximum).
    ///
    /// Not between two `Character`s: one of those may be as long as a client likes.
    public func cut(toBytes maximum: Int) -> String {
        guard utf8.count > maximum else { return self }
        let mark = "…"
        var end = utf8.index(startIndex, offsetBy: max(0, maximum - mark.utf8.count))
        while utf8[end] & 0b1100_0000 == 0b1000_0000 { end = utf8.index(before: end) }
        return self[..<end] + mark
    }
}
