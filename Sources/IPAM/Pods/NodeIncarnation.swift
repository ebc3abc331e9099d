import Synchronization
import TandemAPI

/// A node from the proposal that brought it into being to the one that takes it away, as its pods know it. There is one subclass:
/// `StoredNode`, which has everything else.
class NodeIncarnation: @unchecked Sendable {
    // Proof of `@unchecked Sendable`: a constant, and parts that are set once, atomically; the members of the one subclass are
    // `Sendable`.
    let name: String

    /// The high half of the IPv6 addresses of its pods, 0 until there is one: that of the first one, since a node has one CIDR of a
    /// family, and most are of /64.
    // Relaxed: one word, which once it is set never changes.
    private let high = Atomic<UInt64>(0)
    /// The CNI network of its pods: that of the first one.
    private let network = AtomicLazyReference<Text>()

    private final class Text: Sendable {
        let text: String
        init(_ text: String) { self.text = text }
    }

    init(_ name: String) {
        self.name = name
    }

    /// What pods that share it have.
    var sharedHigh: UInt64 { high.load(ordering: .relaxed) }

    /// What pods that share it have.
    var sharedNetwork: String { network.load()?.text ?? "" }

    /// Whether its pods share this high half of an IPv6 address: the first one that asks decides.
    func shares(high asked: UInt64) -> Bool {
        let known = high.load(ordering: .relaxed)
        if known != 0 || asked == 0 { return known == asked && asked != 0 }
        return high.compareExchange(expected: 0, desired: asked, ordering: .relaxed).original == 0
            || sharedHigh == asked
    }

    /// Whether its pods share this network, which is UTF-8: the first one that asks decides.
    func shares(network asked: UnsafeRawBufferPointer) -> Bool {
        var known = (network.load() ?? network.storeIfNil(Text(String(decoding: asked, as: UTF8.self)))).text
        return known.withUTF8 { UnsafeRawBufferPointer($0).hasSameBytes(as: asked) }
    }
}
