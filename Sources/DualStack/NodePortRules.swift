import TandemAPI

/// `spec.ports[].nodePort`: "This field will be wiped when updating a Service to no longer need it (e.g. changing type from
/// NodePort to ClusterIP)." Node ports are never handed out here; this only keeps such a change from being refused.
extension ServiceDraft {
    mutating func dropNodePorts() {
        guard let old = stored?.spec, old.takesNodePorts, !spec.takesNodePorts, let ports = spec.ports,
            !ports.withNodePort.isEmpty
        else { return }
        // A node port that the client named anew in the same write stays, to be refused: it cannot have meant both.
        guard Self.nodePorts(ports).isSubset(of: old.ports.map(Self.nodePorts) ?? []) else { return }
        spec.ports = ports.withoutNodePorts
    }

    private static func nodePorts(_ ports: ServicePorts) -> Set<Int> {
        let entries = (try? JSONValue(parsing: ports.text.bytes))?.arrayValue ?? []
        return Set(entries.compactMap { $0["nodePort"]?.intValue }.filter { $0 != 0 })
    }
}

extension ServicePorts {
    fileprivate var withoutNodePorts: ServicePorts {
        guard var entries = (try? JSONValue(parsing: text.bytes))?.arrayValue else { return self }
        for index in entries.indices { entries[index]["nodePort"] = nil }
        var ports = self
        ports.text = JSONValue.array(entries).text
        ports.withNodePort = []
        return ports
    }
}
