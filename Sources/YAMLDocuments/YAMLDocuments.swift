public import TandemAPI

/// YAML as JSON values: manifests and configurations.
///
/// The values are bounded, not the text's length alone: with aliases of aliases a few hundred bytes stand for gigabytes.
///
/// Anchors, aliases and merge keys (`<<`) are followed; plain scalars are read by YAML 1.1's rules (`yes` is true, `010` is 8)
/// without its numbers of base 60 (`12:30` is a string). `kubectl` does the same, but differs in these:
/// - A key that is twice in one mapping is refused; there the later counts.
/// - A mapping's own keys win over merged ones wherever `<<` stands; there a `<<` wins over the keys before it.
/// - A key is the text as it stands: `yes: 1` has the key `yes`; there `true`.
/// - `y` and `n` are strings; there true and false.
/// - `!!binary` is refused; there it is decoded.
public enum YAMLDocuments {
    /// The length of the longest text, in bytes.
    public static let maximumBytes = 256 << 20
    /// The most that aliases repeat in one text: bytes of scalars, and 16 for each scalar, sequence, mapping or key. A manifest
    /// repeats labels, some hundred bytes at a time, and a whole call has 1 MiB at most.
    public static let maximumRepeatedBytes = 16 << 20
    /// How deep sequences and mappings lie in one another, aliases followed: as deep as the server reads JSON.
    public static let maximumDepth = JSONReader.maximumDepth

    /// One value for each document. O(length + bytes that aliases repeat).
    public static func read(_ text: String) throws(YAMLFault) -> [JSONValue] {
        guard text.utf8.count <= maximumBytes else {
            throw YAMLFault(line: 1, problem: "the text has more than \(maximumBytes >> 20) MiB")
        }
        var reader = YAMLReader(text.withoutByteOrderMark)
        return try reader.documents()
    }
}
