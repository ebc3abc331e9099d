public import TandemAPI

/// YAML as JSON values: what people write into manifests and configurations.
///
/// What a text stands for is bounded, not its length alone: with aliases of aliases a few hundred bytes stand for gigabytes.
/// Anchors, aliases and merge keys (`<<`) are read as `kubectl` reads them; scalars by YAML 1.1's rules (`yes` is true).
public enum YAMLDocuments {
    /// The most that a text is long, in bytes.
    public static let maximumBytes = 256 << 20
    /// The most that aliases repeat in one text: bytes of scalars, and 16 for each scalar, sequence, mapping or key. A manifest
    /// repeats labels, some hundred bytes at a time, and a whole call has 1 MiB at most.
    public static let maximumRepeatedBytes = 16 << 20
    /// How deep sequences and mappings lie in one another, aliases followed: as deep as the server reads JSON.
    public static let maximumDepth = JSONReader.maximumDepth

    /// One value for each document. O(length + what aliases repeat).
    public static func read(_ text: String) throws(YAMLFault) -> [JSONValue] {
        guard text.utf8.count <= maximumBytes else {
            throw YAMLFault(line: 1, problem: "the text has more than \(maximumBytes >> 20) MiB")
        }
        var reader = YAMLReader(text)
        return try reader.documents()
    }
}
