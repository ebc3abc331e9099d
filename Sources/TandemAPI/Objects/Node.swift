public import Addressing

/// A Kubernetes v1 Node as it travels: its pod CIDRs are typed, all else is kept as text.
public struct Node: Sendable, Hashable {
    public var metadata = ObjectMeta()
    /// `spec.podCIDRs`, or the one of `spec.podCIDR`, as they were written.
    public var podCIDRs = WrittenList<CIDR>()
    public var specOthers = JSONMembers()
    public var others = JSONMembers()

    public init(metadata: ObjectMeta = ObjectMeta(), podCIDRs: Few<CIDR> = []) {
        self.metadata = metadata
        self.podCIDRs = WrittenList(podCIDRs)
    }

    public init(from reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "apiVersion": try reader.expectWord("v1", for: "apiVersion")
            case "kind": try reader.expectWord("Node", for: "kind")
            case "metadata": if try !reader.skipNull() { metadata = try ObjectMeta(from: &reader) }
            case "spec": if try !reader.skipNull() { try readSpec(&reader) }
            default: try others.keep(key, &reader)
            }
        }
    }

    /// Kubernetes' `podCIDR` is the first of `podCIDRs`; either may be given, and both must agree.
    private mutating func readSpec(_ reader: inout JSONReader) throws(JSONError) {
        var first: Written<CIDR>?
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "podCIDR": first = try reader.readNonEmptyWritten()
            case "podCIDRs": podCIDRs = try reader.readWrittenList()
            default: try specOthers.keep(key, &reader)
            }
        }
        guard let first else { return }
        if podCIDRs.isEmpty { podCIDRs = [first] }
        guard podCIDRs[0] == first else {
            throw JSONError(.type, at: reader.position - 1, "podCIDR must be the first of podCIDRs")
        }
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.members(#""apiVersion":"v1","kind":"Node""#)
        writer.key("metadata")
        metadata.write(to: &writer)
        writer.key("spec")
        writer.beginObject()
        if let first = podCIDRs.first {
            writer.key("podCIDR")
            writer.written(first)
            writer.key("podCIDRs")
            writer.writtenList(podCIDRs)
        }
        writer.members(specOthers)
        writer.endObject()
        writer.members(others)
        writer.endObject()
    }
}
