/// Where a page ended: behind the object of a key and, where several have it, a version. Clients get it as an opaque text and
/// send it back; it means the same after a restart.
struct PageToken: Sendable, Equatable {
    var version: UInt64 = 0
    var key: String
    /// The version of the list's first page: that of all its pages.
    var listVersion: UInt64?

    /// Behind the object of a key.
    init(key: String, version: UInt64 = 0) {
        self.key = key
        self.version = version
    }

    /// nil where no page can have given it.
    init?(_ text: String) {
        guard let dot = text.firstIndex(of: ".") else { return nil }
        let numbers = text[..<dot].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let version = Self.number(numbers[0]) else { return nil }
        self.init(key: String(text[text.index(after: dot)...]), version: version)
        guard numbers.count > 1 else { return }
        guard let list = Self.number(numbers[1]) else { return nil }
        listVersion = list
    }

    private static func number(_ text: Substring) -> UInt64? { text.utf8.count <= 20 ? UInt64(text) : nil }

    var text: String { listVersion.map { "\(version)-\($0).\(key)" } ?? "\(version).\(key)" }
}

/// A part of a list, and where the next one starts; nil at the end.
struct Page<Item> {
    var items: [Item] = []
    var next: PageToken?

    /// Entries that one page looks at, wanted or not: past them it ends, and says where to go on.
    static var maximumLooks: Int { 10_000 }
}
