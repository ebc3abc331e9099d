/// Where a page ended: behind the object of a key and, where several have it, a version. Clients get it as an opaque text and
/// send it back; it means the same after a restart.
struct PageToken: Sendable, Equatable {
    var version: UInt64 = 0
    var key: String

    /// Behind the object of a key.
    init(key: String, version: UInt64 = 0) {
        self.key = key
        self.version = version
    }

    /// nil where no page can have given it.
    init?(_ text: String) {
        guard let dot = text.firstIndex(of: "."), let version = UInt64(text[..<dot]), text[..<dot].utf8.count <= 20
        else {
            return nil
        }
        self.init(key: String(text[text.index(after: dot)...]), version: version)
    }

    var text: String { "\(version).\(key)" }
}

/// A part of a list, and where the next one starts; nil at the end.
struct Page<Item> {
    var items: [Item] = []
    var next: PageToken?

    /// Entries that one page looks at, wanted or not: past them it ends, and says where to go on.
    static var maximumLooks: Int { 10_000 }
}
