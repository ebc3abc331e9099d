/// The proposals of the log that are not in the tables for certain yet: which they are, where they lie, and which of them are not kept.
struct Backlog: Sendable {
    /// The number of the newest proposal that is kept or refused for certain, on the disk.
    private(set) var newest: Int64
    /// The number of the last one that the tables have, on the disk.
    private(set) var folded: Int64
    /// Up to this number they lie in rows of the table `journal`, which earlier releases wrote.
    let rows: Int64
    /// Those up to this number are judged: those not in `refused` are kept.
    private(set) var judged: Int64
    /// Bytes in segments.
    private(set) var bytes = 0
    /// Of the groups that are not folded, in their order; the ones before `start` are.
    private var places: [Place] = []
    private var start = 0
    private(set) var refused = RefusedProposals()
    /// Whether it is still unknown which of the proposals that a start found are kept.
    private(set) var awaitsReplay: Bool

    init(folded: Int64, rows: Int64, _ places: [Place]) {
        self.folded = folded
        self.rows = rows
        self.places = places
        newest = places.last?.last ?? max(folded, rows)
        bytes = places.reduce(0) { $0 + $1.header.bytes }
        awaitsReplay = newest > folded
        judged = folded
    }

    var count: Int { Int(newest - folded) }

    /// Judged, and not folded.
    var foldable: Int { Int(judged - folded) }

    var unfolded: ArraySlice<Place> { places[start...] }

    /// The first of the groups that may be folded: as many as have so many proposals, or so many bytes, and at least one where there is any.
    func next(_ limit: Int, bytes limitBytes: Int) -> [Place] {
        var (count, bytes) = (0, 0)
        return Array(
            unfolded.prefix { place in
                guard place.last <= judged, count < limit, bytes < limitBytes else { return false }
                count += place.header.count
                bytes += place.header.bytes
                return true
            })
    }

    mutating func replayed(_ refused: RefusedProposals) {
        self.refused = refused
        awaitsReplay = false
        judge()
    }

    /// Of all that landed, the refused ones were told.
    mutating func judge() {
        if !awaitsReplay { judged = newest }
    }

    mutating func land(_ place: Place) {
        judge()
        places.append(place)
        newest = place.last
        bytes += place.header.bytes
    }

    /// A proposal of the group that landed last.
    mutating func refuse(_ index: Int) {
        let number = judged + 1 + Int64(index)
        precondition(number <= newest, "the group has no such proposal")
        refused.add(number)
    }

    /// The tables have everything up to a number: the end of a group, or of a row.
    mutating func fold(through number: Int64) {
        folded = number
        refused.forget(through: number)
        while let first = unfolded.first, first.last <= number {
            bytes -= first.header.bytes
            start += 1
        }
        if start > 64, start > places.count / 2 {
            places.removeFirst(start)
            start = 0
        }
    }
}
