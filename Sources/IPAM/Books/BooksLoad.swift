import Addressing
import Allocation
import DualStack
import Ledger
import Synchronization
import TandemAPI

/// Fills empty books at a start: the log's folded form in bulk and from several threads, then the later changes by `apply`. The
/// result is that of `apply` over the whole log.
///
/// Stored addresses are held, whatever ranges are configured now. Two objects that hold one address refuse the start; node CIDRs that
/// overlap, as releases before 1.1 gave them out, do not.
final class BooksLoad: Sendable {
    private let books: Books
    private let environment: Environment
    private let reuseDelay: Int
    /// Made when the first pod comes, since all nodes are there by then.
    private let pods = AtomicLazyReference<PodLoad>()
    private let cooling = Mutex<[(range: CIDR, node: String, end: Int, version: UInt64)]>([])

    init(_ books: Books, environment: Environment, reuseDelay: Int) {
        self.books = books
        self.environment = environment
        self.reuseDelay = reuseDelay
    }

    /// O(objects + unfolded changes); blocks while the log is read. Throws a `StartFault` where the store can't be served.
    func run(_ log: any Log) throws {
        // The kinds come in this order, so that a pod finds its node; objects of one kind come from several threads.
        let version = try log.load { object in
            switch object.kind {
            case .service: try self.load(service: object)
            case .node: try self.load(node: object)
            case .pod: try self.load(pod: object)
            case .cooling: try self.load(cooling: object)
            }
        }
        books.setVersion(version)
        books.services.order()
        try pods.load()?.finish(books)
        finishServices()
        try finishNodes()
        finishCooling()
        books.excludeAll()
        books.history.begin(at: version)
        try log.replay { self.books.apply($0) == nil }
    }

    private func load(service object: StoredObject) throws {
        let document = Documents.withoutVersion(object.document)
        let decoded = try Documents.decode(document) { reader throws(JSONError) in try Service(from: &reader) }
        let context = try ServiceContext(object.context)
        let shown = Few(holdings(of: decoded).lazy.map { $0.address }) + context.kept
        let service = StoredService(
            decoded, key: StoredService.key(decoded.metadata), context, holding: object.holdings, document: document,
            version: object.version, shown: shown == Few(object.holdings.lazy.compactMap { $0.address }) ? nil : shown)
        books.addToDigest(service.digest)
        let other = books.withHeld { held in
            var other: (Holding, StoredService)?
            for holding in service.holdings {
                let found: StoredService? =
                    switch holding {
                    case .range: holding.address.flatMap { held.addresses[$0] }
                    case .port(_, let port): held.ports[port]
                    }
                guard let found, holding.pool != .recordedIP || holding.address.map(found.records) != true else {
                    continue
                }
                other = (holding, found)
            }
            held.add(service)
            return other
        }
        if let (holding, other) = other { throw StartFault.twoOwners(holding.placeText, service.key, other.key) }
        books.services.load(service, service.key)
    }

    private func load(node object: StoredObject) throws {
        let cidrs = Few(object.holdings.lazy.compactMap { $0.range })
        guard cidrs.allSatisfy(\.isNodeCIDR) else {
            throw StartFault.unreadable("node", object.key, "holds a value that is no pod CIDR")
        }
        let document = Documents.withoutVersion(object.document)
        let node = try Documents.decode(document) { reader throws(JSONError) in try Node(from: &reader) }
        let record = NodeRecord(
            node, podCIDRs: cidrs, isUIDGiven: UIDOrigin.isGiven(object.context),
            document: document, version: object.version)
        let stored = StoredNode(record, created: object.created)
        books.addToDigest(record.digest)
        if object.isReleasing {
            stored.markReleasing()
            books.addToDigest(stored.releasingDigest)
        }
        for cidr in record.podCIDRs {
            let other = books.withHeld { held in
                let other = held.cidrs[cidr]
                held.add(cidr, of: stored)
                return other
            }
            if let other { throw StartFault.twoOwners(cidr.description, record.name, other.name) }
        }
        books.nodes[record.name] = stored
        books.podUsage.add(stored)
    }

    private func load(pod object: StoredObject) throws {
        let pods = pods.load() ?? pods.storeIfNil(PodLoad(books))
        let read = try ReadPod(object.document)
        guard let (node, identity) = PodKey.parse(object.key),
            let place = node.map({ pods.place($0) }) ?? read.withNodeName({ pods.place($0) })
        else {
            let node = read.withNodeName { String(decoding: $0, as: UTF8.self) }
            throw StartFault.noNode(pod: String(decoding: object.key, as: UTF8.self), node: node)
        }
        guard object.holdings.count <= 2 else {
            throw StartFault.unreadable("pod", object.key, "holds more than one address of a family")
        }
        let stored = pods.node(at: place)
        let addresses = Few(object.holdings.lazy.compactMap { $0.address })
        let pod = StoredPod(
            identity, on: stored, addresses: addresses, version: object.version, document: object.document,
            read: read, isUIDGiven: UIDOrigin.isGiven(object.context), hasOldKey: node == nil)
        books.addToDigest(
            StoredPod.digest(identity, on: stored.name, holding: addresses, version: object.version))
        pods.add(pod, identity, at: place)
    }

    /// The clock may have jumped while nothing ran: then the range cools for as long as it would at first, or no longer.
    private func load(cooling object: StoredObject) throws {
        let key = String(decoding: object.key, as: UTF8.self)
        let json: JSONValue
        do throws(JSONError) {
            json = try JSONValue(parsing: Array(object.document))
        } catch {
            throw APIError(
                .internal, reason: "InternalError", "the stored cooling address \(key) can't be read: \(error)")
        }
        guard let range = IPAddress(key).map({ CIDR($0) }) ?? CIDR(key), let node = json["node"]?.stringValue else {
            return
        }
        let since = max(0, json["releasedAt"]?.intValue ?? 0)
        let age = min(max(0, environment.now() - since), reuseDelay)
        let end = environment.uptime() + reuseDelay - age
        cooling.withLock { $0.append((range, node, end, object.version)) }
    }

    // MARK: When all are there

    /// A Service's address may lie in a range of today, or in a node's CIDR.
    private func finishServices() {
        books.services.visit { service in
            books.note(service, 1)
            for address in service.addresses { self.books.mark(address) }
            service.visitPorts { self.books.pools.nodePorts?.mark($0) }
        }
    }

    /// Pods of nodes whose CIDRs overlap, and Services whose addresses lie in one, are compared with each other.
    private func finishNodes() throws(StartFault) {
        var nodes: [StoredNode] = []
        books.nodes.visit { nodes.append($0) }
        for node in nodes {
            for cidr in node.podCIDRs {
                books.outside.note(cidr, 1, of: node.name)
                books.pools.mark(cidr)
                try holdToEachOther(node, cidr)
            }
        }
    }

    private func holdToEachOther(_ node: StoredNode, _ cidr: CIDR) throws(StartFault) {
        let (outer, services) = books.withHeld { held in
            var services: [(IPAddress, StoredService)] = []
            held.addresses.visit(inside: cidr) {
                services.append(($0, $1))
                return true
            }
            return (held.cidrs.all(around: cidr).filter { $0.0 != cidr }.map(\.1), services)
        }
        for (address, service) in services {
            guard let pod = node.holder(of: address) else { continue }
            throw .twoOwners(address.description, service.key, pod.key)
        }
        for other in outer {
            for pod in node.pods(after: StoredPod?.none, limit: .max) {
                for address in pod.addresses {
                    if let second = other.holder(of: address), !(second === pod) {
                        throw .twoOwners(address.description, pod.key, second.key)
                    }
                    _ = other.pool(containing: address)?.claim(address)
                }
            }
            for pod in other.pods(after: StoredPod?.none, limit: .max) {
                for address in pod.addresses { _ = node.pool(containing: address)?.claim(address) }
            }
        }
    }

    private func finishCooling() {
        for (range, name, end, version) in cooling.withLock({ $0 }) {
            if range.hostBits > 0 {
                books.withHeld { $0.cooling.add(range, CoolingCIDR(node: name, end: end, version: version)) }
                books.pools.mark(range)
            } else {
                // Of a node that is gone nothing cools.
                guard let node = books.nodes[name], let pool = node.pool(containing: range.network) else { continue }
                _ = pool.claim(range.network)
                node.cooling.add(CoolingAddress(end: end, address: range.network, version: version))
            }
            books.addToDigest(coolingDigest(range, version))
        }
    }
}

extension Holding {
    /// For a person.
    fileprivate var placeText: String {
        switch self {
        case .range(_, let range): range.rangeText
        case .port(let transport, let port): "node port \(port) of \(transport)"
        }
    }
}
