import Addressing
public import TandemAPI

/// A port that a Service must get on every node.
public struct NodePortClaim: Sendable, Hashable {
    /// The member that it is for, as a fault names it.
    let field: String
    /// Exactly this one, as it was asked for; nil for any.
    public var requested: Int?
}

/// A port of every node that a Service has. To kube-apiserver a number is one port, whatever the protocol.
public struct NodePort: Sendable, Hashable {
    public enum Transport: String, Sendable, CaseIterable {
        case tcp = "TCP"
        case udp = "UDP"
        case sctp = "SCTP"
    }

    public var transport: Transport
    public var number: UInt16

    public init(_ transport: Transport, _ number: UInt16) {
        self.transport = transport
        self.number = number
    }
}

/// Every node port that a Service shows: one for each of its ports, and the one of its health checks. None where its type has none.
public func nodePorts(of service: Service) -> [NodePort] {
    let spec = service.spec
    guard spec.takesNodePorts else { return [] }
    var found: [NodePort] = []
    var seen: Set<NodePort> = []
    func add(_ transport: NodePort.Transport?, _ number: Int) {
        guard let transport, let number = UInt16(exactly: number), number > 0 else { return }
        let port = NodePort(transport, number)
        if seen.insert(port).inserted { found.append(port) }
    }
    if let ports = spec.ports, !ports.withNodePort.isEmpty {
        for entry in ports.entries { add(entry.transport, entry.nodePort) }
    }
    if spec.needsHealthCheck { add(.tcp, spec.healthCheckNodePort) }
    return found
}

/// `spec.ports[].nodePort` and `spec.healthCheckNodePort`, where the server hands node ports out; without a range they stay as
/// they came.
///
/// "If this field is specified and the requested port is available, it will be used, otherwise the operation will fail. If not
/// specified, a port will be allocated if this Service requires one." Types NodePort and LoadBalancer do, the latter unless
/// `allocateLoadBalancerNodePorts` is false, which leaves ports requested by number. `healthCheckNodePort` "only applies when
/// type is set to LoadBalancer and externalTrafficPolicy is set to Local".
struct NodePortPlan: Sendable {
    private(set) var claims: [NodePortClaim] = []
    private var entries: [PortEntry] = []
    /// Places among `entries` and the claims whose ports they get.
    private var drawn: [(entry: Int, claim: Int)] = []
    private var healthCheck: HealthCheck = .none
    /// The faults of malformed members.
    private var typeFaults = APIError.Causes()

    private enum HealthCheck {
        /// As it was written, or none.
        case none
        case kept(Int)
        case claimed(Int)
    }

    /// Of a server that hands node ports out.
    init(_ draft: ServiceDraft) {
        typeFaults = draft.spec.nodePortTypeFaults
        guard draft.spec.takesNodePorts else { return }
        entries = draft.spec.ports?.entries ?? []
        if let old = draft.stored?.spec {
            planUpdate(of: old, to: draft.spec)
        } else {
            planCreate(draft.spec)
        }
        planHealthCheck(draft.stored?.spec, draft.spec)
    }

    /// Of a Service as a cluster shows it: the ports that it shows and does not hold, each once; none is drawn.
    init(adopting draft: ServiceDraft, holding held: Set<UInt16>) {
        typeFaults = draft.spec.nodePortTypeFaults
        guard draft.spec.takesNodePorts else { return }
        entries = draft.spec.ports?.entries ?? []
        var seen = Set(held.map { Int($0) })
        for (index, entry) in entries.enumerated() where entry.nodePort != 0 {
            if seen.insert(entry.nodePort).inserted { claim(entry.nodePort, index) }
        }
        let check = draft.spec.healthCheckNodePort
        guard draft.spec.needsHealthCheck, check != 0, seen.insert(check).inserted else { return }
        claims.append(NodePortClaim(field: Self.healthCheckField, requested: check))
    }

    /// The claim for a Service's health checks, after all others.
    private mutating func planHealthCheck(_ old: ServiceSpec?, _ new: ServiceSpec) {
        guard new.needsHealthCheck else { return }
        let asked = new.healthCheckNodePort
        if let old, old.needsHealthCheck, old.healthCheckNodePort != 0 {
            // Another one than it had is refused at the end.
            if asked == 0 { healthCheck = .kept(old.healthCheckNodePort) }
        } else {
            if asked == 0 { healthCheck = .claimed(claims.count) }
            claims.append(NodePortClaim(field: Self.healthCheckField, requested: asked == 0 ? nil : asked))
        }
    }

    /// Entries of one port number share a node port: a port of TCP and of UDP. So they do where one of them asks for it; one that asks for
    /// another gets that.
    private mutating func planCreate(_ spec: ServiceSpec) {
        var requested: [Int: Int] = [:]
        for entry in entries where entry.nodePort != 0 && requested[entry.port] == nil {
            requested[entry.port] = entry.nodePort
        }
        /// Claims by port number.
        var first: [Int: Int] = [:]
        for (index, entry) in entries.enumerated() where entry.nodePort != 0 || spec.allocatesNodePorts {
            let wanted = requested[entry.port]
            if let claim = first[entry.port] {
                if entry.nodePort == 0, let wanted {
                    entries[index].nodePort = wanted
                } else if entry.nodePort == 0 {
                    drawn.append((index, claim))
                } else if entry.nodePort != wanted {
                    self.claim(entry.nodePort, index)
                }
                continue
            }
            first[entry.port] = claims.count
            if let wanted {
                entries[index].nodePort = wanted
            } else {
                drawn.append((index, claims.count))
            }
            claim(wanted, index)
        }
    }

    private mutating func planUpdate(of old: ServiceSpec, to new: ServiceSpec) {
        let oldEntries = old.takesNodePorts ? old.ports?.entries ?? [] : []
        if old.allocatesNodePorts, new.allocatesNodePorts { carryOver(from: oldEntries) }
        var had = Set(oldEntries.map(\.nodePort))
        for (index, entry) in entries.enumerated() {
            if entry.nodePort != 0 {
                if had.insert(entry.nodePort).inserted { claim(entry.nodePort, index) }
            } else if new.allocatesNodePorts {
                drawn.append((index, claims.count))
                claim(nil, index)
            }
        }
    }

    /// A port that comes without a node port keeps the one that its name had, unless another one of the new object names it. Where names do not
    /// tell ports apart, which kube-apiserver refuses, the protocol and the number help.
    private mutating func carryOver(from old: [PortEntry]) {
        struct Place: Hashable {
            var name: String
            var protocolName = ""
            var port = 0
        }
        let named = Set(entries.map(\.nodePort))
        func hasUniqueNames(_ entries: [PortEntry]) -> Bool { Set(entries.map(\.name)).count == entries.count }
        let isByName = hasUniqueNames(old) && hasUniqueNames(entries)
        func place(_ entry: PortEntry) -> Place {
            isByName
                ? Place(name: entry.name) : Place(name: entry.name, protocolName: entry.protocolName, port: entry.port)
        }
        let before = Dictionary(old.map { (place($0), $0.nodePort) }) { first, _ in first }
        for (index, entry) in entries.enumerated() where entry.nodePort == 0 {
            if let port = before[place(entry)], !named.contains(port) { entries[index].nodePort = port }
        }
    }

    private mutating func claim(_ requested: Int?, _ index: Int) {
        claims.append(NodePortClaim(field: "spec.ports[\(index)].nodePort", requested: requested))
    }

    private static let healthCheckField = "spec.healthCheckNodePort"

    // MARK: Once they are claimed

    /// Puts the ports in their places: `ports[i]` answers `claims[i]`. Ports without a use in the type are removed, unless the client changed them in
    /// the same write: it cannot have meant both.
    func complete(_ draft: inout ServiceDraft, with ports: [UInt16]) {
        var filled = entries
        for (entry, claim) in drawn { filled[entry].nodePort = Int(ports[claim]) }
        if let asked = draft.spec.ports, draft.spec.takesNodePorts { draft.spec.ports = asked.with(filled) }
        switch healthCheck {
        case .none: break
        case .kept(let number): draft.spec.others[ServiceSpec.healthCheckMember] = JSONValue.number("\(number)").text
        case .claimed(let claim):
            draft.spec.others[ServiceSpec.healthCheckMember] = JSONValue.number("\(ports[claim])").text
        }
        guard let old = draft.stored?.spec else { return }
        if old.needsHealthCheck, !draft.spec.needsHealthCheck,
            old.healthCheckNodePort == draft.spec.healthCheckNodePort
        {
            draft.spec.others[ServiceSpec.healthCheckMember] = nil
        }
        if old.type == .loadBalancer, draft.spec.type != .loadBalancer,
            old.wantsLoadBalancerNodePorts ?? true == draft.spec.wantsLoadBalancerNodePorts
        {
            draft.spec.others[ServiceSpec.allocateMember] = nil
        }
    }

    /// The faults of the resulting Service.
    func faults(_ draft: ServiceDraft) -> APIError.Causes {
        let spec = draft.spec
        var faults = typeFaults + (spec.takesNodePorts ? portFaults(spec.ports?.entries ?? []) : [])
        if spec.others[ServiceSpec.allocateMember] != nil, spec.type != .loadBalancer {
            faults.append(
                .forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'"))
        }
        let port = spec.healthCheckNodePort
        if !spec.needsHealthCheck {
            if port != 0 {
                faults.append(
                    .invalid(
                        Self.healthCheckField, port,
                        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
            }
        } else if let old = draft.stored?.spec, old.needsHealthCheck, ![0, port].contains(old.healthCheckNodePort) {
            faults.append(.forbidden(Self.healthCheckField, "field is immutable"))
        }
        return faults
    }

    /// A node port is one port's of a protocol, and so is a port.
    private func portFaults(_ entries: [PortEntry]) -> APIError.Causes {
        struct Place: Hashable {
            var protocolName: String
            var number: Int
        }
        var faults = APIError.Causes()
        var (nodePorts, ports): (Set<Place>, Set<Place>) = ([], [])
        for (index, entry) in entries.enumerated() {
            if entry.transport == nil {
                faults.append(
                    .notSupported(
                        "spec.ports[\(index)].protocol", entry.protocolName,
                        NodePort.Transport.allCases.map(\.rawValue).sorted()))
            }
            let nodePort = Place(protocolName: entry.protocolName, number: entry.nodePort)
            if entry.nodePort != 0, !nodePorts.insert(nodePort).inserted {
                faults.append(.duplicate("spec.ports[\(index)].nodePort", entry.nodePort))
            }
            if !ports.insert(Place(protocolName: entry.protocolName, number: entry.port)).inserted {
                faults.append(.duplicate("spec.ports[\(index)]", "\(entry.protocolName) \(entry.port)"))
            }
        }
        return faults
    }

    /// Why a port that was asked for can't be had, in kube-apiserver's words. Of a health check's it says only that the server failed; it is the
    /// client's to change here as well.
    static func cause(
        _ claim: NodePortClaim, because failure: ClaimFailure, _ range: ClosedRange<UInt16>
    ) -> APIError.Cause {
        let number = claim.requested ?? 0
        let reason =
            switch failure {
            case .taken: "provided port is already allocated"
            case .outOfRange:
                "provided port is not in the valid range. The range of valid ports is "
                    + "\(range.lowerBound)-\(range.upperBound)"
            }
        let isHealthCheck = claim.field == healthCheckField
        return .invalid(
            claim.field, number,
            isHealthCheck ? "failed to allocate requested HealthCheck NodePort \(number): \(reason)" : reason)
    }
}

extension ServiceDraft {
    /// "This field will be wiped when updating a Service to no longer need it (e.g. changing type from NodePort to ClusterIP)."
    mutating func dropNodePorts() {
        guard let old = stored?.spec, old.takesNodePorts, !spec.takesNodePorts, let ports = spec.ports,
            !ports.withNodePort.isEmpty
        else { return }
        // A node port that the client named anew in the same write stays, to be refused: it cannot have meant both.
        let had = Set(old.ports?.entries.map(\.nodePort) ?? [])
        let entries = ports.entries
        guard entries.allSatisfy({ $0.nodePort == 0 || had.contains($0.nodePort) }) else { return }
        spec.ports = ports.with(entries.map(\.withoutNodePort))
    }
}

// MARK: Reading a Service

extension ServiceSpec {
    fileprivate static let healthCheckMember = "healthCheckNodePort"
    fileprivate static let allocateMember = "allocateLoadBalancerNodePorts"

    /// Whether its ports get node ports without asking for them.
    fileprivate var allocatesNodePorts: Bool {
        type == .nodePort || type == .loadBalancer && wantsLoadBalancerNodePorts ?? true
    }

    fileprivate var wantsLoadBalancerNodePorts: Bool? { value(Self.allocateMember)?.boolValue }

    /// Of a load balancer that sends traffic to nodes with endpoints alone: nodes say there whether they have any.
    fileprivate var needsHealthCheck: Bool {
        type == .loadBalancer && value("externalTrafficPolicy")?.stringValue == "Local"
    }

    /// 0 where it has none.
    fileprivate var healthCheckNodePort: Int { value(Self.healthCheckMember)?.intValue ?? 0 }

    fileprivate var nodePortTypeFaults: APIError.Causes {
        var faults = APIError.Causes()
        for (member, isRight, detail) in [
            (Self.healthCheckMember, { $0.intValue != nil }, "must be a whole number"),
            (Self.allocateMember, { $0.boolValue != nil }, "must be true or false"),
        ] as [(String, (JSONValue) -> Bool, String)] {
            guard let value = value(member), !isRight(value) else { continue }
            faults.append(.invalid("spec.\(member)", value.text.description, detail))
        }
        return faults
    }

    private func value(_ member: String) -> JSONValue? {
        others[member].flatMap { try? JSONValue(parsing: $0.bytes) }
    }
}

/// An entry of `spec.ports`, as far as node ports go.
private struct PortEntry: Sendable {
    private(set) var json: JSONValue
    var name: String { json["name"]?.stringValue ?? "" }
    /// "Default is TCP."
    var protocolName: String { json["protocol"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 } ?? "TCP" }
    var transport: NodePort.Transport? { NodePort.Transport(rawValue: protocolName) }
    var port: Int { json["port"]?.intValue ?? 0 }

    init(_ json: JSONValue) {
        self.json = json
    }

    /// 0 where it has none.
    var nodePort: Int {
        get { json["nodePort"]?.intValue ?? 0 }
        set { json["nodePort"] = .number("\(newValue)") }
    }

    var withoutNodePort: PortEntry {
        var entry = self
        entry.json["nodePort"] = nil
        return entry
    }
}

extension ServicePorts {
    fileprivate var entries: [PortEntry] {
        ((try? JSONValue(parsing: text.bytes))?.arrayValue ?? []).map(PortEntry.init)
    }

    /// Written anew only where a node port is another one: else it stays as it was typed.
    fileprivate func with(_ entries: [PortEntry]) -> ServicePorts {
        guard entries.map(\.nodePort) != self.entries.map(\.nodePort) else { return self }
        var ports = self
        ports.text = JSONValue.array(entries.map(\.json)).text
        ports.withNodePort = entries.indices.filter { entries[$0].nodePort != 0 }
        return ports
    }
}
