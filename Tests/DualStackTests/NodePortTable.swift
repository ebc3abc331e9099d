// A slow, plain statement of Kubernetes' treatment of node ports, in the order in which it does it. Written to be compared with another
// implementation, so it shares no code with one and imports nothing. Every name is there once among the ports of an object.

/// A port of a Service; 0 stands for no node port.
struct TablePort: Hashable, Sendable {
    var name: String
    var transport: String
    var port: Int
    var nodePort: Int
}

/// The members of a Service that bear on node ports.
struct TablePortSpec: Hashable, Sendable {
    var type = "ClusterIP"
    var ports: [TablePort] = []
    /// `allocateLoadBalancerNodePorts`; nil means absent.
    var allocates: Bool?
    var isLocal = false
    var healthCheck = 0

    var hasNodePorts: Bool { type == "NodePort" || type == "LoadBalancer" }
    /// Whether a port that names none gets one.
    var isFilled: Bool { type == "NodePort" || (type == "LoadBalancer" && allocates != false) }
    var isChecked: Bool { type == "LoadBalancer" && isLocal }
    var numbers: [Int] { ports.map(\.nodePort).filter { $0 != 0 } }
    /// Everything that it has of the range.
    var held: Set<Int> {
        guard hasNodePorts else { return [] }
        return Set(numbers + (isChecked && healthCheck != 0 ? [healthCheck] : []))
    }
}

enum TablePortOutcome: Hashable, Sendable {
    case done(TablePortSpec)
    /// `field reason`, sorted.
    case invalid([String])
    case full
    case missing, exists
}

struct NodePortTable {
    let range: ClosedRange<Int>
    private(set) var services: [String: TablePortSpec] = [:]
    private(set) var taken: Set<Int> = []

    init(_ range: ClosedRange<Int>) { self.range = range }

    private struct Stop: Error { var outcome: TablePortOutcome }

    private mutating func take(_ port: Int, _ field: String) throws {
        guard range.contains(port), taken.insert(port).inserted else {
            throw Stop(outcome: .invalid(["\(field) FieldValueInvalid"]))
        }
    }

    private mutating func draw() throws -> Int {
        for port in range where taken.insert(port).inserted { return port }
        throw Stop(outcome: .full)
    }

    // MARK: Requests

    mutating func create(_ name: String, _ asked: TablePortSpec) -> TablePortOutcome {
        let before = taken
        do {
            var new = asked
            if new.hasNodePorts { try fillNew(&new) }
            if new.isChecked { try giveHealthCheck(&new) }
            try validate(new, nil)
            guard services[name] == nil else { throw Stop(outcome: .exists) }
            services[name] = new
            return .done(new)
        } catch let stop as Stop {
            taken = before
            return stop.outcome
        } catch {
            return .missing
        }
    }

    mutating func update(_ name: String, _ asked: TablePortSpec) -> TablePortOutcome {
        guard let old = services[name] else { return .missing }
        let before = taken
        do {
            var new = asked
            patch(&new, old)
            if new.hasNodePorts { try fillUpdated(&new, old) }
            if new.isChecked, !old.isChecked { try giveHealthCheck(&new) }
            drop(&new, old)
            try validate(new, old)
            taken.subtract(old.held.subtracting(new.held))
            services[name] = new
            return .done(new)
        } catch let stop as Stop {
            taken = before
            return stop.outcome
        } catch {
            return .missing
        }
    }

    mutating func delete(_ name: String) {
        guard let old = services.removeValue(forKey: name) else { return }
        taken.subtract(old.held)
    }

    // MARK: Steps

    /// A new object: ports of one number share a node port.
    private mutating func fillNew(_ new: inout TablePortSpec) throws {
        var given: [Int: Int] = [:]
        for index in new.ports.indices {
            let entry = new.ports[index]
            let field = "spec.ports[\(index)].nodePort"
            if entry.nodePort == 0, !new.isFilled { continue }
            if given[entry.port] == nil {
                var number = 0
                for other in new.ports where other.port == entry.port && other.nodePort != 0 {
                    number = other.nodePort
                    break
                }
                if number != 0 { try take(number, field) } else { number = try draw() }
                new.ports[index].nodePort = number
                given[entry.port] = number
            } else if entry.nodePort == 0 {
                new.ports[index].nodePort = given[entry.port]!
            } else if entry.nodePort != given[entry.port] {
                try take(entry.nodePort, field)
            }
        }
    }

    /// Members that the client left out, and the old object has.
    private func patch(_ new: inout TablePortSpec, _ old: TablePortSpec) {
        if old.isFilled, new.isFilled {
            let used = Set(old.numbers).intersection(new.numbers)
            for index in new.ports.indices where new.ports[index].nodePort == 0 {
                for before in old.ports where before.name == new.ports[index].name && !used.contains(before.nodePort) {
                    new.ports[index].nodePort = before.nodePort
                }
            }
        }
        if old.isChecked, new.isChecked, new.healthCheck == 0 { new.healthCheck = old.healthCheck }
    }

    /// A changed object: only ports that the old one lacks are taken.
    private mutating func fillUpdated(_ new: inout TablePortSpec, _ old: TablePortSpec) throws {
        let had = old.hasNodePorts ? old.numbers : []
        var fresh: [Int] = []
        for index in new.ports.indices {
            let number = new.ports[index].nodePort
            if number == 0 {
                if new.isFilled { new.ports[index].nodePort = try draw() }
            } else if !had.contains(number), !fresh.contains(number) {
                try take(number, "spec.ports[\(index)].nodePort")
                fresh.append(number)
            }
        }
    }

    private mutating func giveHealthCheck(_ new: inout TablePortSpec) throws {
        if new.healthCheck == 0 {
            new.healthCheck = try draw()
        } else {
            try take(new.healthCheck, "spec.healthCheckNodePort")
        }
    }

    /// Members without a use in the new type, where the client left them as they were.
    private func drop(_ new: inout TablePortSpec, _ old: TablePortSpec) {
        if old.hasNodePorts, !new.hasNodePorts, Set(new.numbers).isSubset(of: old.numbers) {
            for index in new.ports.indices { new.ports[index].nodePort = 0 }
        }
        if old.isChecked, !new.isChecked, old.healthCheck == new.healthCheck { new.healthCheck = 0 }
        if old.type == "LoadBalancer", new.type != "LoadBalancer", old.allocates ?? true == new.allocates {
            new.allocates = nil
        }
    }

    private func validate(_ new: TablePortSpec, _ old: TablePortSpec?) throws {
        var causes: [String] = []
        for (index, entry) in new.ports.enumerated() {
            if new.type == "ClusterIP", entry.nodePort != 0 {
                causes.append("spec.ports[\(index)].nodePort FieldValueForbidden")
            }
            guard new.hasNodePorts else { continue }
            for other in new.ports[..<index] where other.transport == entry.transport {
                if other.nodePort == entry.nodePort, entry.nodePort != 0 {
                    causes.append("spec.ports[\(index)].nodePort FieldValueDuplicate")
                    break
                }
            }
            for other in new.ports[..<index] where other.transport == entry.transport && other.port == entry.port {
                causes.append("spec.ports[\(index)] FieldValueDuplicate")
                break
            }
        }
        if new.allocates != nil, new.type != "LoadBalancer" {
            causes.append("spec.allocateLoadBalancerNodePorts FieldValueForbidden")
        }
        if !new.isChecked, new.healthCheck != 0 { causes.append("spec.healthCheckNodePort FieldValueInvalid") }
        if let old, old.isChecked, new.isChecked, old.healthCheck != new.healthCheck {
            causes.append("spec.healthCheckNodePort FieldValueForbidden")
        }
        if !causes.isEmpty { throw Stop(outcome: .invalid(causes.sorted())) }
    }
}
