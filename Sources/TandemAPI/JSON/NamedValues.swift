/// Values under names, in the order in which they came. A name is there once; names are told apart byte by byte, as JSON
/// has them.
///
/// A few are looked through, more are hashed: to look up and to put take O(length of the name), to remove O(count).
struct NamedValues<Value> {
    private(set) var members: [(name: String, value: Value)] = []
    /// Where each name is among the members; nil while these are few.
    private var places: [NameBytes: Int]?

    /// So many are looked through sooner than hashed.
    static var few: Int { 16 }

    subscript(name: String) -> Value? {
        get { place(of: name).map { members[$0].value } }
        set {
            switch (place(of: name), newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil):
                members.remove(at: place)
                findPlaces()
            case (nil, let value?):
                members.append((name, value))
                if places == nil { findPlaces() } else { places?[NameBytes(name)] = members.count - 1 }
            case (nil, nil): break
            }
        }
    }

    /// Puts the members in the order of their names' bytes. O(n log n).
    mutating func sort() {
        // Most are: then nothing is copied.
        let isSorted = zip(members, members.dropFirst()).allSatisfy {
            $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
        }
        guard !isSorted else { return }
        members.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        findPlaces()
    }

    private func place(of name: String) -> Int? {
        if let places { return places[NameBytes(name)] }
        for place in members.indices where NameBytes(members[place].name) == NameBytes(name) { return place }
        return nil
    }

    private mutating func findPlaces() {
        guard members.count > Self.few else {
            places = nil
            return
        }
        var found: [NameBytes: Int] = [:]
        found.reserveCapacity(members.count)
        for (place, member) in members.enumerated() { found[NameBytes(member.name)] = place }
        places = found
    }
}

extension NamedValues: Sendable where Value: Sendable {}

/// A string as its bytes. Swift's own comparison of strings looks through the different ways in which a text can be written,
/// which takes time as the square of the marks in a row.
struct NameBytes: Hashable {
    private let text: String

    init(_ text: String) { self.text = text }

    static func == (left: Self, right: Self) -> Bool {
        left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
