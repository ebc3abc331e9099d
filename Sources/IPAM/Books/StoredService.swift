import Addressing
import DualStack
import Ledger
import TandemAPI

/// A Service as it was last kept. A change puts a new one in its place.
///
/// Proof of `@unchecked Sendable`: `version` is set once, by `Books.apply`, before the object is shown to any reader.
final class StoredService: @unchecked Sendable {
    let namespace: String
    let name: String
    /// `namespace/name`, as the books and the log know it.
    let key: String
    let uid: String
    private(set) var version: UInt64
    /// As it is stored: without its version.
    let document: [UInt8]
    let context: ServiceContext
    /// Its holdings.
    let holdings: [Holding]
    /// By address, where they are more than a few: a Service that was adopted may show as many as its object has room for.
    private let byAddress: [IPAddress: Holding]
    private static let few = 8
    /// The addresses that its document shows, where those are others: for the audit, as only a hand in the tables makes it so.
    let shown: [IPAddress]?
    /// The node ports that its document shows and that it does not hold: it came while none were handed out.
    let shownPorts: [UInt16]
    /// Those that it holds and its document does not show: an adoption left them.
    let keptPorts: [NodePort]

    init(
        _ service: Service, key: String, _ context: ServiceContext, holding holdings: [Holding], document: [UInt8],
        version: UInt64 = 0, shown: [IPAddress]? = nil
    ) {
        namespace = service.metadata.namespace
        name = service.metadata.name
        self.key = key
        uid = service.metadata.uid ?? ""
        self.context = context
        self.holdings = holdings
        byAddress =
            holdings.count <= Self.few
            ? [:]
            : Dictionary(holdings.compactMap { holding in holding.address.map { ($0, holding) } }) { first, _ in first }
        self.document = document
        self.shown = shown
        (shownPorts, keptPorts) = Self.ports(of: service, holding: holdings)
        self.version = version
    }

    func stamp(_ version: UInt64) { self.version = version }

    var addresses: [IPAddress] {
        var addresses: [IPAddress] = []
        addresses.reserveCapacity(holdings.count)
        visitAddresses { addresses.append($0) }
        return addresses
    }

    /// Each of `addresses`, without a list of them.
    func visitAddresses(_ body: (IPAddress) -> Void) {
        for holding in holdings {
            if let address = holding.address { body(address) }
        }
    }

    /// Whether the cluster gave it the address, which may be another's as well.
    func records(_ address: IPAddress) -> Bool { holdings.contains(Holding(pool: .recordedIP, address: address)) }

    func holds(_ address: IPAddress) -> Bool { holding(of: address) != nil }

    /// The kind of its holding of an address. O(1).
    func holding(of address: IPAddress) -> Holding? {
        holdings.count <= Self.few ? holdings.first { $0.address == address } : byAddress[address]
    }

    /// Each node port that it holds or shows.
    func visitPorts(_ body: (UInt16) -> Void) {
        for holding in holdings {
            if let port = holding.port { body(port) }
        }
        for port in shownPorts { body(port) }
    }

    /// Those that it shows and does not hold, each once, and those that it holds and does not show.
    private static func ports(of service: Service, holding holdings: [Holding]) -> ([UInt16], [NodePort]) {
        let shown = nodePorts(of: service)
        let held = holdings.compactMap(NodePort.init)
        guard !shown.isEmpty || !held.isEmpty else { return ([], []) }
        let numbers = Set(shown.map(\.number))
        var seen = Set(held.map(\.number))
        return (shown.map(\.number).filter { seen.insert($0).inserted }, held.filter { !numbers.contains($0.number) })
    }

    /// The numbers of all that it holds or shows.
    var knownPorts: Set<UInt16> {
        var ports = Set(shownPorts)
        for holding in holdings {
            if let port = holding.port { ports.insert(port) }
        }
        return ports
    }

    static func key(_ namespace: String, _ name: String) -> String {
        // On every call's way: an interpolation takes ten times as long.
        var (namespace, name) = (namespace, name)
        return namespace.withUTF8 { namespace in
            name.withUTF8 { name in
                String(unsafeUninitializedCapacity: namespace.count + 1 + name.count) { buffer in
                    _ = buffer.update(fromContentsOf: namespace)
                    buffer[namespace.count] = UInt8(ascii: "/")
                    return UnsafeMutableBufferPointer(rebasing: buffer[(namespace.count + 1)...]).update(
                        fromContentsOf: name) + namespace.count + 1
                }
            }
        }
    }

    /// The prefix of the keys of a namespace's Services.
    static func prefix(of namespace: String) -> String { key(namespace, "") }

    static func key(_ metadata: ObjectMeta) -> String { key(metadata.namespace, metadata.name) }

    var owner: Owner { Owner(.service, namespace: namespace, name: name, uid: uid) }

    /// As it is served: with held addresses that it does not show, where an adoption left some. O(length).
    var served: [UInt8] { Documents.encode(writeServed) }

    /// The same, as a value of a text.
    func writeServed(to writer: inout JSONWriter) {
        let kept =
            context.kept.isEmpty && keptPorts.isEmpty
            ? [] : context.kept.map(\.description) + keptPorts.map(\.keptText)
        Documents.write(document, version, kept: kept, to: &writer)
    }

    /// The object decoded from its text, with its version. O(length).
    func decoded() throws(APIError) -> Service {
        var service = try Documents.decode(document) { reader throws(JSONError) in try Service(from: &reader) }
        service.metadata.resourceVersion = String(version)
        return service
    }
}
