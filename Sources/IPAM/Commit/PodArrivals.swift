import Synchronization

/// Allocations under way by container: the turns of the names that they are for, so that a release of the container, which knows
/// no name, comes behind them though they still wait for those. Thread-safe, O(1).
final class PodArrivals: Sendable {
    private let names = ShardedMap<String, [String: Int]>()

    func enter(_ origin: String, _ name: String) {
        names.update(origin) { names in
            if names == nil { names = [:] }
            names?[name, default: 0] += 1
        }
    }

    func leave(_ origin: String, _ name: String) {
        names.update(origin) { names in
            guard let count = names?[name] else { return }
            names?[name] = count > 1 ? count - 1 : nil
            if names?.isEmpty ?? false { names = nil }
        }
    }

    /// O(names); nearly always one or none.
    func names(_ origin: String) -> [String] { names[origin].map { Array($0.keys) } ?? [] }
}
