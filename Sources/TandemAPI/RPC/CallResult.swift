public import Addressing

/// The answer of a successful call: the value of `result`, as JSON.
///
/// Objects are kept as the text that is served, so that most results are put together from pieces.
public struct CallResult: Sendable {
    public let json: [UInt8]
    /// The content of a changing call's answer, once more, for the audit log.
    public let effect: AddressEffect

    @inline(__always)
    public init(_ effect: AddressEffect = AddressEffect(), _ build: (inout JSONWriter) -> Void) {
        json = JSONWriter.text { writer in
            writer.beginObject()
            build(&writer)
            writer.endObject()
        }
        self.effect = effect
    }

    public init(_ value: JSONValue) {
        json = value.text.bytes
        effect = AddressEffect()
    }

    /// `write` writes the Service as it is served. `addresses` are those that it holds now; not needed by reads. `kept` are those that an
    /// adopted one does not show.
    public static func service(
        holding addresses: Few<IPAddress> = [], kept: [String] = [], isReplayed: Bool = false,
        _ write: (inout JSONWriter) -> Void
    ) -> CallResult {
        CallResult(AddressEffect(addresses: addresses, isReplay: isReplayed)) { writer in
            writer.key("service")
            write(&writer)
            writer.kept(kept)
            if isReplayed { writer.replayed() }
        }
    }

    public static func service(
        holding addresses: Few<IPAddress>, released: Few<IPAddress>, isReplayed: Bool = false,
        _ write: (inout JSONWriter) -> Void
    ) -> CallResult {
        let effect = AddressEffect(
            addresses: addresses, released: released.map { .address($0) }, isReplay: isReplayed)
        return CallResult(effect) { writer in
            writer.key("service")
            write(&writer)
            writer.key("released")
            writer.strings(released.map(\.description))
            if isReplayed { writer.replayed() }
        }
    }

    public static func node(
        _ document: [UInt8], holding podCIDRs: Few<CIDR> = [], kept: Few<CIDR> = [], isReplayed: Bool = false
    ) -> CallResult {
        CallResult(AddressEffect(podCIDRs: podCIDRs, isReplay: isReplayed)) { writer in
            writer.key("node")
            writer.text(document)
            writer.kept(kept)
            if isReplayed { writer.replayed() }
        }
    }

    /// `gateways` in the order of `podCIDRs`.
    public static func pod(
        _ document: [UInt8], holding addresses: Few<IPAddress>, node: String, podCIDRs: Few<CIDR>,
        gateways: Few<IPAddress>,
        kept: Few<IPAddress> = [], isReplayed: Bool = false
    ) -> CallResult {
        CallResult(AddressEffect(addresses: addresses, isReplay: isReplayed)) { writer in
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
            writer.kept(kept)
            if isReplayed { writer.replayed() }
        }
    }

    /// The object has no addresses of this server's: nothing is stored.
    public static func notHeld(_ kind: ObjectKind, _ write: (inout JSONWriter) -> Void) -> CallResult {
        CallResult { writer in
            writer.key(text: kind.word)
            write(&writer)
            writer.key("held")
            writer.bool(false)
        }
    }

    /// `GetPod`'s answer; `others` are further nodes that have pods of the name.
    public static func pod(_ document: [UInt8], others: [String] = []) -> CallResult {
        CallResult { writer in
            writer.key("pod")
            writer.text(document)
            guard !others.isEmpty else { return }
            writer.key("others")
            writer.strings(others)
        }
    }

    /// `Watch`'s answer: the id of its notifications, and the version after which they begin.
    public static func watch(_ subscription: String, version: UInt64) -> CallResult {
        CallResult { writer in
            writer.key("subscription")
            writer.string(subscription)
            writer.key("resourceVersion")
            writer.string(version)
        }
    }

    /// `GetNode`'s answer.
    public static func node(_ document: [UInt8], isUIDMade: Bool) -> CallResult {
        CallResult { writer in
            writer.key("node")
            writer.text(document)
            guard isUIDMade else { return }
            writer.key("uidMade")
            writer.bool(true)
        }
    }

    /// `version` is that of the list's first page; `madeUIDs` are those among the items' that Tandem made itself.
    public static func page(
        _ documents: [[UInt8]], continueToken: String?, version: UInt64, madeUIDs: [String] = []
    ) -> CallResult {
        CallResult { writer in
            writer.key("items")
            writer.beginArray()
            for document in documents { writer.text(document) }
            writer.endArray()
            writer.continuation(continueToken)
            writer.key("resourceVersion")
            writer.string(version)
            guard !madeUIDs.isEmpty else { return }
            writer.key("madeUIDs")
            writer.strings(madeUIDs)
        }
    }

    /// `more` counts released addresses that are not named.
    public static func released(_ released: [Released], more: Int = 0) -> CallResult {
        CallResult(AddressEffect(released: released.map(\.what), more: more)) { writer in
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
            if more > 0 {
                writer.key("more")
                writer.number(more)
            }
        }
    }
}

extension JSONWriter {
    /// Where the next page starts, if there is one.
    mutating func continuation(_ token: String?) {
        guard let token else { return }
        key("continue")
        string(token)
    }

    /// Addresses that an adopted object holds and does not show, if any.
    fileprivate mutating func kept(_ ranges: some Collection<some CustomStringConvertible>) {
        guard !ranges.isEmpty else { return }
        key("kept")
        strings(ranges.map(\.description))
    }

    fileprivate mutating func replayed() {
        key("replayed")
        bool(true)
    }
}

/// Which addresses a call gave, or found given, and which it took back. A value of a few references.
public struct AddressEffect: Sendable {
    /// The object's current addresses.
    public let addresses: Few<IPAddress>
    public let podCIDRs: Few<CIDR>
    public let released: [Released.What]
    /// Released as well, and not named.
    public let more: Int
    /// Nothing was changed: the call had been made before.
    public let isReplay: Bool

    public init(
        addresses: Few<IPAddress> = [], podCIDRs: Few<CIDR> = [], released: [Released.What] = [], more: Int = 0,
        isReplay: Bool = false
    ) {
        self.addresses = addresses
        self.podCIDRs = podCIDRs
        self.released = released
        self.more = more
        self.isReplay = isReplay
    }
}

/// A released address or pod CIDR, and its former owner.
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

/// The owner of an address.
public struct Owner: Sendable, Hashable {
    public var kind: ObjectKind
    /// Empty for a Node.
    public var namespace: String
    public var name: String
    public var uid: String

    public init(_ kind: ObjectKind, namespace: String = "", name: String, uid: String) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.uid = uid
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("kind")
        writer.string(kind.rawValue)
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

    public var result: CallResult { CallResult { write(to: &$0) } }

    private func write(to writer: inout JSONWriter) {
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

    /// The answer of `LookupIP` by CIDR.
    public static func page(_ addresses: [AddressStatus], continueToken: String?) -> CallResult {
        CallResult { writer in
            writer.key("items")
            writer.beginArray()
            for address in addresses {
                writer.beginObject()
                address.write(to: &writer)
                writer.endObject()
            }
            writer.endArray()
            writer.continuation(continueToken)
        }
    }
}
