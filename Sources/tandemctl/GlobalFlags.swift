/// Flags that stand before the verb, as in `tandemctl --server a:8443 get pods`: the parser wants them behind it.
enum GlobalFlags {
    private static let withValue: Set = [
        "--server", "--ca-file", "--cert-file", "--key-file", "--namespace", "-n", "--output", "-o",
    ]

    /// The same command line with the verb first, where there is one.
    static func behindVerb(_ words: [String]) -> [String] {
        var end = 0
        while end < words.count, words[end].hasPrefix("-"), words[end] != "-" {
            end += withValue.contains(words[end]) ? 2 : 1
        }
        guard end > 0, end < words.count else { return words }
        return [words[end]] + words[..<end] + words[(end + 1)...]
    }
}
