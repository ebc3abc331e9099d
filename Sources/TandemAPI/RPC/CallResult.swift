public import Addressing

/// What a call that went well answers: the value of `result`, as JSON.
///
/// Objects are kept as the text that is served, so that most results are put together from pieces.
public struct CallResult: Sendable {
    public let json: [UInt8]

    public init(_ build: (inout JSONWriter) -> Void) {
        var writer = JSONWriter()
        writer.beginObject()
        build(&writer)
        writer.endObject()
        json = writer.bytes
    }

    public init(_ value: JSONValue) {
        json = value.text.bytes
    }

    /// The OpenRPC document, written once: anybody may ask for it.
    public static let openRPC = CallResult(OpenRPC.document)

    public static func service(_ document: [UInt8], isReplayed: Bool = false) -> CallResult {
        CallResult { writer in
            writer.key("service")
            writer.text(document)
            if isReplayed { writer.replayed() }
        }
    }

    public static func service(_ document: [UInt8], released: [IPAddress]) -> CallResult {
        CallResult { writer in
            writer.key("service")
            writer.text(document)
            writer.key("released")
            writer.strings(released.map(\.description))
        }
    }

    public static func node(_ document: [UInt8], isReplayed: Bool = false) -> CallResult {
        CallResult { writer in
            writer.key("node")
            writer.text(document)
            if isReplayed { writer.replayed() }
        }
    }

    /// `gateways` in the order of `podCIDRs`.
    public static func pod(
        _ document: [UInt8], node: String, podCIDRs: [CIDR], gateways: [IPAddress], isReplayed: Bool = false
    ) -> CallResult {
        CallResult { writer in
            writer.key("pod")
            writer.text(document)
            writer.key("node")
            writer.beginObject()
            writer.key("name")
            writer.string(node)
            writer.key("podCIDRs")
            writer.strings(podCIDRs.map(\.description))
            writer.key("gateways")
            writer.strings(gateways.map(\.description))
            writer.endObject()
            if isReplayed { writer.replayed() }
        }
    }

    /// `GetPod`'s answer: the Pod alone.
    public static func pod(_ document: [UInt8]) -> CallResult {
        CallResult { writer in
            writer.key("pod")
            writer.text(document)
        }
    }

    public static func page(_ documents: [[UInt8]], continueToken: String?) -> CallResult {
        CallResult { writer in
            writer.key("items")
            writer.beginArray()
            for document in documents { writer.text(document) }
            writer.endArray()
            if let continueToken {
                writer.key("continue")
                writer.string(continueToken)
            }
        }
    }

    public static func released(_ released: [Released]) -> CallResult {
        CallResult { writer in
            writer.key("released")
            writer.beginArray()
            for item in released {
                writer.beginObject()
                switch item.what {
                case .address(let address):
                    writer.key("ip")
                    writer.string(address.description)
                case .subnet(let subnet):
                    writer.key("cidr")
                    writer.string(subnet.description)
                }
                writer.key("owner")
                item.owner.write(to: &writer)
                writer.endObject()
            }
            writer.endArray()
        }
    }
}

extension JSONWriter {
    fileprivate mutating func replayed() {
        key("replayed")
        bool(true)
    }
}

/// An address or a pod CIDR that was given back, and who held it.
public struct Released: Sendable, Hashable {
    public enum What: Sendable, Hashable {
        case address(IPAddress)
        case subnet(CIDR)
    }

    public var what: What
    public var owner: Owner

    public init(_ what: What, owner: Owner) {
        self.what = what
        self.owner = owner
    }
}

/// Who holds an address.
public struct Owner: Sendable, Hashable {
    /// `Service`, `Pod` or `Node`.
    public var kind: String
    /// Empty for a Node.
    public var namespace: String
    public var name: String
    public var uid: String

    public init(kind: String, namespace: String = "", name: String, uid: String) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.uid = uid
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("kind")
        writer.string(kind)
        if !namespace.isEmpty {
            writer.key("namespace")
            writer.string(namespace)
        }
        writer.key("name")
        writer.string(name)
        writer.key("uid")
        writer.string(uid)
        writer.endObject()
    }
}

/// `LookupIP`'s answer.
public struct AddressStatus: Sendable {
    public enum State: String, Sendable, CaseIterable {
        case allocated, free, reserved, coolingDown, outOfRange
    }

    public var address: IPAddress
    /// The name of the pool that the address lies in; nil outside all.
    public var pool: String?
    public var state: State
    public var owner: Owner?

    public init(_ address: IPAddress, pool: String?, state: State, owner: Owner? = nil) {
        self.address = address
        self.pool = pool
        self.state = state
        self.owner = owner
    }

    public var result: CallResult {
        CallResult { writer in
            writer.key("ip")
            writer.string(address.description)
            if let pool {
                writer.key("pool")
                writer.string(pool)
            }
            writer.key("state")
            writer.string(state.rawValue)
            if let owner {
                writer.key("owner")
                owner.write(to: &writer)
            }
        }
    }
}

/// One pool in `GetPools`' answer. Counts are of addresses, for node CIDRs of subnets.
public struct PoolStatus: Sendable {
    public var name: String
    /// `Service`, `LoadBalancer`, `NodeCIDR` or `Pod`.
    public var kind: String
    public var cidr: CIDR
    public var capacity: UInt128
    public var allocated: UInt128
    /// The prefix length of a node's CIDR; nil for pools of addresses.
    public var nodeMaskSize: Int?

    public init(
        name: String, kind: String, cidr: CIDR, capacity: UInt128, allocated: UInt128, nodeMaskSize: Int? = nil
    ) {
        self.name = name
        self.kind = kind
        self.cidr = cidr
        self.capacity = capacity
        self.allocated = allocated
        self.nodeMaskSize = nodeMaskSize
    }

    public var available: UInt128 { capacity - min(allocated, capacity) }

    public static func result(_ pools: [PoolStatus]) -> CallResult {
        CallResult { writer in
            writer.key("pools")
            writer.beginArray()
            for pool in pools { pool.write(to: &writer) }
            writer.endArray()
        }
    }

    private func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        writer.key("kind")
        writer.string(kind)
        writer.key("family")
        writer.string(cidr.network.family.description)
        writer.key("cidr")
        writer.string(cidr.description)
        // Decimal strings: a /64 does not fit a double.
        writer.key("capacity")
        writer.string(capacity.description)
        writer.key("allocated")
        writer.string(allocated.description)
        writer.key("available")
        writer.string(available.description)
        if let nodeMaskSize {
            writer.key("nodeMaskSize")
            writer.number(nodeMaskSize)
        }
        writer.endObject()
    }
}
