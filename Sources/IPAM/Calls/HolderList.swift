import Addressing
import TandemAPI

/// The addresses of a CIDR that are held, page by page: those of Services in order, then those of pods, by their nodes' CIDRs in order.
extension Engine {
    /// Looks at `Page.maximumLooks` addresses and nodes at most: past them a page ends, and says where to go on. The locks that it
    /// takes are held for so many looks at most.
    func listHolders(_ query: HolderQuery) -> Result<CallResult, APIError> {
        paged(query.continueToken) { token in
            let page = holders(query, after: token)
            return AddressStatus.page(page.items, continueToken: page.next?.text)
        }
    }

    private func holders(_ query: HolderQuery, after token: PageToken?) -> Page<AddressStatus> {
        var page = Page<AddressStatus>()
        let isAmongPods = token.map { $0.version == HolderPhase.pods } ?? false
        if query.kinds.contains(.service), !isAmongPods {
            addServices(query, after: token.flatMap { IPAddress($0.key) }, to: &page)
            if page.next != nil { return page }
        }
        if query.kinds.contains(.pod) {
            addPods(query, after: isAmongPods ? token.flatMap { IPAddress($0.key) } : nil, to: &page)
        }
        return page
    }

    private func addServices(_ query: HolderQuery, after start: IPAddress?, to page: inout Page<AddressStatus>) {
        var found: [(address: IPAddress, service: StoredService)] = []
        let hasMore = books.withHeld { held in
            held.addresses.visit(inside: query.cidr, after: start) { address, service in
                found.append((address, service))
                return found.count <= query.limit
            }
            return found.count > query.limit
        }
        if hasMore {
            found.removeLast()
            page.next = found.last.map { PageToken(key: $0.address.description, version: HolderPhase.services) }
        }
        page.items = found.map { found in
            AddressStatus(
                found.address, pool: poolState(of: found.address).name, state: .allocated, owner: found.service.owner)
        }
    }

    private func addPods(_ query: HolderQuery, after start: IPAddress?, to page: inout Page<AddressStatus>) {
        var looks = 0
        /// Behind which node CIDR, and in the first one behind which address, the search goes on.
        var (node, address) = (start.map { CIDR($0) }, start)
        func stop(at address: IPAddress) {
            page.next = PageToken(key: address.description, version: HolderPhase.pods)
        }
        while true {
            // A few at a time, as the lock is held meanwhile.
            let nodes = nodeCIDRs(overlapping: query.cidr, from: address, after: node, limit: 256)
            for (cidr, stored) in nodes {
                looks += 1
                while true {
                    let slice = stored.addresses(query.cidr.family, after: address, limit: 256)
                    for (held, pod) in slice {
                        guard page.items.count < query.limit, looks < Page<AddressStatus>.maximumLooks else {
                            return stop(at: address ?? cidr.first)
                        }
                        looks += 1
                        address = held
                        if cidr.contains(held), query.cidr.contains(held) {
                            page.items.append(
                                AddressStatus(
                                    held, pool: stored.poolName(held.family), state: .allocated, owner: pod.owner))
                        }
                    }
                    if slice.count < 256 { break }
                }
                (node, address) = (cidr, nil)
                // Its last address is no pod's that is to be told still.
                guard looks < Page<AddressStatus>.maximumLooks else { return stop(at: cidr.last) }
            }
            if nodes.count < 256 { return }
        }
    }

    /// Node CIDRs that overlap one, in order: those behind `node`; where `address` is given, first the one that it lies in.
    private func nodeCIDRs(
        overlapping cidr: CIDR, from address: IPAddress?, after node: CIDR?, limit: Int
    ) -> [(cidr: CIDR, node: StoredNode)] {
        books.withHeld { held in
            var found: [(cidr: CIDR, node: StoredNode)] = []
            func add(_ cidr: CIDR, _ node: StoredNode) -> Bool {
                found.append((cidr, node))
                return found.count < limit
            }
            if let address { held.cidrs.visit(containing: address, add) }
            if let node {
                held.cidrs.visit(inside: cidr, after: node, add)
            } else {
                held.cidrs.visit(overlapping: cidr, add)
            }
            return found
        }
    }
}

/// The kind of a page's token of `listHolders`.
private enum HolderPhase {
    static let services: UInt64 = 0
    static let pods: UInt64 = 1
}
