import Synchronization

/// Allocations in flight, each noted by a word and a key by which a release finds it that does not know the word: so the release comes
/// behind allocations that were first, though they still wait. Thread-safe, O(1).
final class PodArrivals: Sendable {
    private let words = ShardedMap<String, [String: Int]>()

    func enter(_ key: String, _ word: String) {
        words.update(key) { words in
            if words == nil { words = [:] }
            words?[word, default: 0] += 1
        }
    }

    func leave(_ key: String, _ word: String) {
        words.update(key) { words in
            guard let count = words?[word] else { return }
            words?[word] = count > 1 ? count - 1 : nil
            if words?.isEmpty ?? false { words = nil }
        }
    }

    /// Each once. O(words); nearly always one or none.
    func words(_ key: String) -> [String] { words[key].map { Array($0.keys) } ?? [] }
}
