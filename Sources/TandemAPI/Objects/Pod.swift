public import Addressing

/// A Kubernetes v1 Pod as it travels: its node and addresses are typed, all else is kept as text.
public struct Pod: Sendable, Hashable {
    public var metadata = ObjectMeta()
    public var nodeName = ""
    /// `status.podIPs`, or the one of `status.podIP`, as they were written.
    public var podIPs = WrittenList<IPAddress>()
    public var specOthers = JSONMembers()
    public var statusOthers = JSONMembers()
    public var others = JSONMembers()

    public init(metadata: ObjectMeta = ObjectMeta(), nodeName: String = "", podIPs: Few<IPAddress> = []) {
        self.metadata = metadata
        self.nodeName = nodeName
        self.podIPs = WrittenList(podIPs)
    }

    public init(from reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "apiVersion": try reader.expectWord("v1", for: "apiVersion")
            case "kind": try reader.expectWord("Pod", for: "kind")
            case "metadata": if try !reader.skipNull() { metadata = try ObjectMeta(from: &reader) }
            case "spec": if try !reader.skipNull() { try readSpec(&reader) }
            case "status": if try !reader.skipNull() { try readStatus(&reader) }
            // As lists and `GetPod` show it: the server's to say.
            case "attachment": try reader.skipValue()
            default: try others.keep(key, &reader)
            }
        }
    }

    private mutating func readSpec(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "nodeName": nodeName = try reader.readStringOrNull() ?? ""
            default: try specOthers.keep(key, &reader)
            }
        }
    }

    /// Kubernetes' `podIP` is the first of `podIPs`; either may be given, and both must agree.
    private mutating func readStatus(_ reader: inout JSONReader) throws(JSONError) {
        var first: Written<IPAddress>?
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "podIP": first = try reader.readNonEmptyWritten()
            case "podIPs": podIPs = try reader.skipNull() ? [] : try reader.readIPs()
            default: try statusOthers.keep(key, &reader)
            }
        }
        guard let first else { return }
        if podIPs.isEmpty { podIPs = [first] }
        guard podIPs[0] == first else {
            throw JSONError(.type, at: reader.position - 1, "podIP must be the first of podIPs")
        }
    }

    /// `spec.hostNetwork`: the pod has its node's addresses, and none of its own.
    public var usesHostNetwork: Bool { specOthers["hostNetwork"] == .true }

    /// `status.phase` Succeeded or Failed: the pod "will never be restarted", and its addresses are gone.
    public var isOver: Bool {
        guard let phase = statusOthers["phase"] else { return false }
        return Self.overPhases.contains(phase)
    }

    private static let overPhases = [#""Succeeded""#, #""Failed""#].map { JSONText(unchecked: Array($0.utf8)) }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.members(#""apiVersion":"v1","kind":"Pod""#)
        writer.key("metadata")
        metadata.write(to: &writer)
        writer.key("spec")
        writer.beginObject()
        if !nodeName.isEmpty {
            writer.key("nodeName")
            writer.string(nodeName)
        }
        writer.members(specOthers)
        writer.endObject()
        writer.key("status")
        writer.beginObject()
        if let first = podIPs.first {
            writer.key("podIP")
            writer.written(first)
            writer.key("podIPs")
            writer.ips(podIPs)
        }
        writer.members(statusOthers)
        writer.endObject()
        writer.members(others)
        writer.endObject()
    }
}

/// One interface of one container: the object of a CNI call.
public struct Attachment: Sendable, Hashable {
    public var containerID: String
    public var ifName: String

    public init(containerID: String, ifName: String = Attachment.defaultInterface) {
        self.containerID = containerID
        self.ifName = ifName
    }

    /// The interface that every container run-time asks for first.
    public static let defaultInterface = "eth0"
}
