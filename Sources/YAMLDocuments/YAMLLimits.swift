import TandemAPI

/// How large, and how deep, the input may be.
public enum YAMLLimits {
    /// The length of the longest text, in bytes.
    public static let maximumBytes = 256 << 20
    /// The most that aliases repeat in one text: bytes of scalars, and 16 for each scalar, sequence, mapping or key. A manifest
    /// repeats labels, some hundred bytes at a time, and a whole call has 1 MiB at most.
    public static let maximumRepeatedBytes = 16 << 20
    /// How deep sequences and mappings lie in one another, aliases followed: as deep as the server reads JSON.
    public static let maximumDepth = JSONReader.maximumDepth
}
