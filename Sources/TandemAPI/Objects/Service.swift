public import Addressing

/// A Kubernetes v1 Service as it travels: members that address management reads are typed, all others kept as text.
///
/// Copies share their memory until one of them is changed: a Service passes through many hands, and few change it.
public struct Service: Sendable, Hashable {
    @usableFromInline var storage: Storage

    public init(metadata: ObjectMeta = ObjectMeta(), spec: ServiceSpec = ServiceSpec()) {
        storage = Storage(metadata: metadata, spec: spec)
    }

    /// Proof of `@unchecked Sendable` and of `unchecked`: `makeUnique` comes before every change, so that only a sole owner
    /// makes one, and that owner is a value whose accesses the compiler checks.
    @usableFromInline
    final class Storage: @unchecked Sendable {
        @exclusivity(unchecked) @usableFromInline var metadata = ObjectMeta()
        @exclusivity(unchecked) @usableFromInline var spec = ServiceSpec()
        @exclusivity(unchecked) @usableFromInline var status = ServiceStatus()
        @exclusivity(unchecked) @usableFromInline var others = JSONMembers()

        init() {}

        init(metadata: ObjectMeta, spec: ServiceSpec) {
            self.metadata = metadata
            self.spec = spec
        }

        init(copying other: Storage) {
            metadata = other.metadata
            spec = other.spec
            status = other.status
            others = other.others
        }
    }

    @inlinable
    mutating func makeUnique() {
        if !isKnownUniquelyReferenced(&storage) { copyStorage() }
    }

    @usableFromInline
    mutating func copyStorage() {
        storage = Storage(copying: storage)
    }

    @inlinable
    public var metadata: ObjectMeta {
        _read { yield storage.metadata }
        _modify {
            makeUnique()
            yield &storage.metadata
        }
    }

    @inlinable
    public var spec: ServiceSpec {
        _read { yield storage.spec }
        _modify {
            makeUnique()
            yield &storage.spec
        }
    }

    @inlinable
    public var status: ServiceStatus {
        _read { yield storage.status }
        _modify {
            makeUnique()
            yield &storage.status
        }
    }

    @inlinable
    public var others: JSONMembers {
        _read { yield storage.others }
        _modify {
            makeUnique()
            yield &storage.others
        }
    }

    public static func == (left: Service, right: Service) -> Bool {
        left.storage === right.storage
            || left.metadata == right.metadata && left.spec == right.spec && left.status == right.status
                && left.others == right.others
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(metadata)
        hasher.combine(spec)
        hasher.combine(status)
        hasher.combine(others)
    }

    public init(from reader: inout JSONReader) throws(JSONError) {
        let storage = Storage()
        self.storage = storage
        try reader.beginObject()
        var count = 0
        // A member that comes again replaces the one before.
        var (hasMetadata, hasSpec) = (false, false)
        while let key = try reader.nextKey(&count) {
            switch key {
            case "apiVersion": try reader.expectWord("v1", for: "apiVersion")
            case "kind": try reader.expectWord("Service", for: "kind")
            case "metadata":
                if try reader.skipNull() { continue }
                if hasMetadata { storage.metadata = ObjectMeta() }
                hasMetadata = true
                try storage.metadata.read(from: &reader)
            case "spec":
                if try reader.skipNull() { continue }
                if hasSpec { storage.spec = ServiceSpec() }
                hasSpec = true
                try storage.spec.read(from: &reader)
            case "status": if try !reader.skipNull() { storage.status = try ServiceStatus(from: &reader) }
            // As an adopted one is served: the server's to say.
            case "kept": try reader.skipValue()
            default: try storage.others.keep(key, &reader)
            }
        }
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.members(#""apiVersion":"v1","kind":"Service""#)
        writer.key("metadata")
        metadata.write(to: &writer)
        writer.key("spec")
        writeSpec(to: &writer)
        writer.key("status")
        status.write(to: &writer)
        writer.members(others)
        writer.endObject()
    }
}

/// `spec` of a Service. Fields hold the request's values, right or wrong: judging them is the work of the dual-stack rules.
public struct ServiceSpec: Sendable, Hashable {
    public var type: Written<ServiceType>?
    /// nil where absent or null; `""` was written so and is not the same.
    public var ipFamilyPolicy: Written<FamilyPolicy>?
    /// Empty where absent: Kubernetes does not tell the two apart.
    public var ipFamilies = WrittenList<IPFamily>()
    /// Empty where absent.
    public var clusterIP = Written<IPAddress>.empty
    /// Empty where absent.
    public var clusterIPs = WrittenList<IPAddress>()
    public var externalName = ""
    public var loadBalancerIP = Written<IPAddress>.empty
    /// nil where absent or null; `""` was written so and is not the same.
    public var loadBalancerClass: String?
    /// nil where absent; an empty list of ports was written so and is not the same.
    public var ports: ServicePorts?
    /// Members of `spec.selector`; kept as text.
    public var selector: JSONText?
    public var others = JSONMembers()

    public init() {}

    /// "Selectorless": `spec.selector` absent or empty.
    public var hasSelector: Bool { selector.map { $0 != .emptyObject } ?? false }

    public init(from reader: inout JSONReader) throws(JSONError) {
        try read(from: &reader)
    }

    /// Into a value that is empty yet: where it lies, without a copy.
    mutating func read(from reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "type": type = try reader.readNonEmptyWritten()
            case "ipFamilyPolicy": ipFamilyPolicy = try reader.skipNull() ? nil : try reader.readWritten()
            case "ipFamilies": ipFamilies = try reader.readWrittenList()
            case "clusterIP": clusterIP = try reader.readWrittenOrEmpty()
            case "clusterIPs": clusterIPs = try reader.readWrittenList()
            case "externalName": externalName = try reader.readStringOrNull() ?? ""
            case "loadBalancerIP": loadBalancerIP = try reader.readWrittenOrEmpty()
            case "loadBalancerClass": loadBalancerClass = try reader.readStringOrNull()
            case "ports": ports = try reader.skipNull() ? nil : try ServicePorts(from: &reader)
            case "selector": selector = try reader.readObjectText()
            default: try others.keep(key, &reader)
            }
        }
    }
}

extension Service {
    /// `spec`, member by member: a copy of all would cost more than to write them.
    public func writeSpec(to writer: inout JSONWriter) {
        writer.beginObject()
        if let type = spec.type {
            writer.key("type")
            writer.written(type)
        }
        if let policy = spec.ipFamilyPolicy {
            writer.key("ipFamilyPolicy")
            writer.written(policy)
        }
        if !spec.ipFamilies.isEmpty {
            writer.key("ipFamilies")
            writer.writtenList(spec.ipFamilies)
        }
        writeClusterIPs(to: &writer)
        if !spec.externalName.isEmpty {
            writer.key("externalName")
            writer.string(spec.externalName)
        }
        if !spec.loadBalancerIP.isEmpty {
            writer.key("loadBalancerIP")
            writer.written(spec.loadBalancerIP)
        }
        if let name = spec.loadBalancerClass {
            writer.key("loadBalancerClass")
            writer.string(name)
        }
        if let ports = spec.ports?.text {
            writer.key("ports")
            writer.text(ports)
        }
        if let selector = spec.selector {
            writer.key("selector")
            writer.text(selector)
        }
        writer.members(spec.others)
        writer.endObject()
    }

    /// `clusterIP` and `clusterIPs`, whose first is the same as a rule.
    private func writeClusterIPs(to writer: inout JSONWriter) {
        let (first, all) = (spec.clusterIP, spec.clusterIPs)
        if case .value(let address) = first, !all.isEmpty, all[0] == first {
            address.withText { text in
                writer.key("clusterIP")
                writer.plain(text)
                writer.key("clusterIPs")
                writer.beginArray()
                writer.plain(text)
            }
            for place in 1..<all.count { writer.written(all[place]) }
            writer.endArray()
            return
        }
        if !first.isEmpty {
            writer.key("clusterIP")
            writer.written(first)
        }
        if !all.isEmpty {
            writer.key("clusterIPs")
            writer.writtenList(all)
        }
    }
}

/// `spec.ports`, kept as text; of its entries only the node ports are looked at.
public struct ServicePorts: Sendable, Hashable {
    public var text: JSONText
    public var count: Int
    /// Indices of the entries whose `nodePort` is given and not 0.
    public var withNodePort: [Int]

    public init(from reader: inout JSONReader) throws(JSONError) {
        _ = try reader.peek()
        let start = reader.position
        count = 0
        withNodePort = []
        try reader.beginArray()
        while try reader.nextElement(&count) {
            try reader.beginObject()
            var memberCount = 0
            while let key = try reader.nextKey(&memberCount) {
                if case "nodePort" = key {
                    if try !reader.skipNull(), try reader.readInt() != 0 { withNodePort.append(count - 1) }
                } else {
                    try reader.skipValue()
                }
            }
        }
        text = reader.text(from: start)
    }
}

/// `status` of a Service: the addresses of its load balancer, and further members.
public struct ServiceStatus: Sendable, Hashable {
    /// `loadBalancer.ingress[].ip`, in the order of the families.
    public var ingress = Few<IPAddress>()
    /// Members beside `loadBalancer`, such as `conditions`.
    public var others = JSONMembers()

    public init() {}

    public var isEmpty: Bool { ingress.isEmpty && others.isEmpty }

    public init(from reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "loadBalancer": if try !reader.skipNull() { ingress = try Self.readIngress(&reader) }
            default: try others.keep(key, &reader)
            }
        }
    }

    /// Entries without an `ip` (a host name) or with one that is none are passed over: addresses are the server's to give.
    private static func readIngress(_ reader: inout JSONReader) throws(JSONError) -> Few<IPAddress> {
        var ingress = Few<IPAddress>()
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            guard case "ingress" = key, try reader.peek() == .array else {
                try reader.skipValue()
                continue
            }
            for text in try reader.readIPs() {
                switch text {
                case .value(let address): ingress.append(address)
                case .other(let text): if let address = IPAddress(text) { ingress.append(address) }
                }
            }
        }
        return ingress
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("loadBalancer")
        writer.beginObject()
        if !ingress.isEmpty {
            writer.key("ingress")
            writer.ips(ingress.lazy.map { .value($0) })
        }
        writer.endObject()
        writer.members(others)
        writer.endObject()
    }
}

extension JSONReader {
    /// The text from `start`, which lies before whole values, to here.
    func text(from start: Int) -> JSONText {
        JSONText(compacting: UnsafeRawBufferPointer(rebasing: text[start..<position]))
    }

    /// An object kept as text; null counts as absent.
    mutating func readObjectText() throws(JSONError) -> JSONText? {
        switch try peek() {
        case .null:
            try skipValue()
            return nil
        case .object: return try readText()
        case let found: throw JSONError(.type, at: position, "expected an object, found \(found.rawValue)")
        }
    }

    /// `[{"ip": …}…]`: the addresses as they were written; entries without one are passed over.
    mutating func readIPs() throws(JSONError) -> WrittenList<IPAddress> {
        var texts = WrittenList<IPAddress>()
        try beginArray()
        var count = 0
        while try nextElement(&count) {
            try beginObject()
            var memberCount = 0
            while let key = try nextKey(&memberCount) {
                if case "ip" = key {
                    let text: Written<IPAddress> = try readWrittenOrEmpty()
                    if !text.isEmpty { texts.append(text) }
                } else {
                    try skipValue()
                }
            }
        }
        return texts
    }
}

extension JSONWriter {
    mutating func ips(_ addresses: some Sequence<Written<IPAddress>>) {
        beginArray()
        for address in addresses {
            beginObject()
            key("ip")
            written(address)
            endObject()
        }
        endArray()
    }
}
