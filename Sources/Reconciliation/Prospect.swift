import Addressing
public import TandemAPI

/// A dry run's report on addresses that are yet to be given.
///
/// Tandem keeps nothing of a dry run: it may answer two objects with one and the same address, or with one that another object shows and that
/// would be taken in before. Certain are the addresses that an object has, shows or asks for by itself; of all others the range is reported. Pure.
public struct Prospect: Sendable {
    private struct Pool {
        var range: AddressRange
        var text: String
        /// Of CIDRs that are cut from it.
        var prefixLength: Int?
    }

    private let pools: [Pool]

    /// `pools` are those of `GetPools`.
    public init(pools: [JSONValue]) {
        self.pools = pools.compactMap { pool in
            guard let text = pool["cidr"]?.stringValue, let range = AddressRange(text) else { return nil }
            return Pool(range: range, text: text, prefixLength: pool["nodeMaskSize"]?.intValue)
        }
    }

    /// For a sentence: addresses or CIDRs that an object would be given. O(given * pools).
    public func words(_ given: [String], certain: [String]) -> String {
        given.allSatisfy(certain.contains)
            ? given.joined(separator: ",")
            : given.map { certain.contains($0) ? $0 : words($0) }.joined(separator: " and ")
    }

    private func words(_ text: String) -> String {
        let cidr = CIDR(text)
        guard let first = cidr?.network ?? IPAddress(text),
            let pool = pools.first(where: { $0.range.contains(first) && ($0.prefixLength == nil) == (cidr == nil) })
        else { return text }
        return pool.prefixLength.map { "a /\($0) of \(pool.text)" } ?? "one of \(pool.text)"
    }
}
