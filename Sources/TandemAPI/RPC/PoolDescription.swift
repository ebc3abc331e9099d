public import Addressing

/// The ranges that are handed out from, by their use.
public enum PoolKind: String, Sendable, CaseIterable {
    case service = "Service"
    case loadBalancer = "LoadBalancer"
    case nodeCIDR = "NodeCIDR"
    case pod = "Pod"
    case nodePort = "NodePort"
}

/// The fixed facts of a pool, without its use.
public struct PoolDescription: Sendable {
    public var name: String
    public var kind: PoolKind
    /// nil for node ports.
    public var range: AddressRange?
    /// nil for all but node ports.
    public var ports: ClosedRange<UInt16>?
    /// The prefix length of a node's CIDR; nil for pools of addresses.
    public var nodeMaskSize: Int?

    public init(
        name: String, kind: PoolKind, range: AddressRange? = nil, ports: ClosedRange<UInt16>? = nil,
        nodeMaskSize: Int? = nil
    ) {
        self.name = name
        self.kind = kind
        self.range = range
        self.ports = ports
        self.nodeMaskSize = nodeMaskSize
    }

    /// Name, kind and range, as members of an object.
    func write(to writer: inout JSONWriter) {
        writer.key("name")
        writer.string(name)
        writer.key("kind")
        writer.string(kind.rawValue)
        if let range {
            writer.key("family")
            writer.string(range.family.description)
            writer.key("cidr")
            writer.string(range.description)
        }
        if let ports {
            writer.key("ports")
            writer.string("\(ports.lowerBound)-\(ports.upperBound)")
        }
    }

    /// The same of the prefix length, where there is one.
    func writeMaskSize(to writer: inout JSONWriter) {
        guard let nodeMaskSize else { return }
        writer.key("nodeMaskSize")
        writer.number(nodeMaskSize)
    }
}

extension JSONWriter {
    /// Members that are counts: decimal strings, as a /64 does not fit a double.
    mutating func counts(_ counts: KeyValuePairs<String, UInt128>) {
        for (name, count) in counts {
            key(text: name)
            string(count.description)
        }
    }
}
