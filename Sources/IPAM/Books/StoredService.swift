import Addressing
import DualStack
import Ledger
import TandemAPI

/// A Service as it was last kept. A change puts a new one in its place.
///
/// Proof of `@unchecked Sendable`: `version` is set once, by `Books.apply`, before the object is shown to anybody else.
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
    /// What it holds.
    let holdings: [Holding]
    /// The addresses that its document shows, where those are others: for the audit, as only a hand in the tables makes it so.
    let shown: [IPAddress]?
    /// The node ports that its document shows and that it does not hold: it came while none were handed out.
    let shownPorts: [UInt16]

    init(
        _ service: Service, _ context: ServiceContext, holding holdings: [Holding], document: [UInt8],
        version: UInt64 = 0, shown: [IPAddress]? = nil
    ) {
        namespace = service.metadata.namespace
        name = service.metadata.name
        key = Self.key(namespace, name)
        uid = service.metadata.uid ?? ""
        self.context = context
        self.holdings = holdings
        self.document = document
        self.shown = shown
        shownPorts = Self.ports(shownBy: service, notIn: holdings)
        self.version = version
    }

    func stamp(_ version: UInt64) { self.version = version }

    var addresses: [IPAddress] { holdings.compactMap(\.address) }

    /// Each of `addresses`, without a list of them.
    func visitAddresses(_ body: (IPAddress) -> Void) {
        for holding in holdings {
            if let address = holding.address { body(address) }
        }
    }

    func holds(_ address: IPAddress) -> Bool { holdings.contains { $0.address == address } }

    /// Each node port that it holds or shows.
    func visitPorts(_ body: (UInt16) -> Void) {
        for holding in holdings {
            if let port = holding.port { body(port) }
        }
        for port in shownPorts { body(port) }
    }

    private static func ports(shownBy service: Service, notIn holdings: [Holding]) -> [UInt16] {
        let shown = nodePorts(of: service)
        guard !shown.isEmpty else { return [] }
        var seen = Set(holdings.compactMap(\.port))
        return shown.map(\.number).filter { seen.insert($0).inserted }
    }

    static func key(_ namespace: String, _ name: String) -> String { "\(namespace)/\(name)" }

    static func key(_ metadata: ObjectMeta) -> String { key(metadata.namespace, metadata.name) }

    var owner: Owner { Owner(.service, namespace: namespace, name: name, uid: uid) }

    /// As it is served. O(length).
    var served: [UInt8] { Documents.served(document, version) }

    /// The object decoded from its text, with its version. O(length).
    func decoded() throws(APIError) -> Service {
        var service = try Documents.decode(document) { reader throws(JSONError) in try Service(from: &reader) }
        service.metadata.resourceVersion = String(version)
        return service
    }
}
