import Addressing
public import TandemAPI

/// The answerer of a case: the rules alone, or a server.
public protocol ServiceDecider {
    func create(_ service: JSONValue) throws -> DecisionAnswer
    func replace(_ service: JSONValue) throws -> DecisionAnswer
    func get(_ name: String) throws -> DecisionAnswer
    /// How many addresses were given back.
    func release(_ name: String) throws -> Int
    func restart(_ ranges: [String]) throws
}

public enum DecisionAnswer: Sendable {
    case service(JSONValue)
    case refused(status: String, causes: [String])
}

/// Plays one case, and says where the answers are not the recorded ones.
public struct DecisionRunner<Decider: ServiceDecider> {
    private let decider: Decider
    private let decision: DecisionCase
    private var ranges: [CIDR]
    /// `clusterIPs` of each name's last answer; also once the Service is gone.
    private var held: [String: [String]] = [:]
    private var present: Set<String> = []

    public private(set) var disagreements: [String] = []
    /// Whether an address was drawn that the case names itself: then the case says nothing, and is played again.
    public private(set) var drewLiteral = false

    /// Names of the Services that the case has left behind.
    public var leftovers: [String] { present.sorted() }

    public init(_ decision: DecisionCase, on decider: Decider) {
        self.decider = decider
        self.decision = decision
        ranges = decision.ranges.compactMap { CIDR($0) }
    }

    public mutating func run() throws {
        for (index, step) in decision.steps.enumerated() {
            if let fault = try play(step) {
                disagreements.append("\(decision.id) (\(decision.title)), step \(index): \(fault)")
                return
            }
        }
    }

    private mutating func play(_ step: DecisionCase.Step) throws -> String? {
        switch step.action {
        case .create(let service):
            let name = service["metadata"]?["name"]?.stringValue ?? ""
            return compare(try decider.create(filled(service, name)), with: step.expected, name)
        case .update(let name, let changes):
            guard case .service(let live) = try decider.get(name) else {
                return compare(try decider.get(name), with: step.expected, name)
            }
            var changes = filled(changes, name)
            if changes["metadata"]?["resourceVersion"] != nil {
                let current = live["metadata"]?["resourceVersion"]?.stringValue ?? ""
                changes["metadata"]?["resourceVersion"] = .string(String((Int(current) ?? 0) + 1))
            }
            return compare(try decider.replace(live.merging(changes)), with: step.expected, name)
        case .get(let name):
            return compare(try decider.get(name), with: step.expected, name)
        case .release(let name):
            let count = try decider.release(name)
            present.remove(name)
            let expected = step.expected["released"]?.intValue
            return expected.map { $0 == count } ?? true ? nil : "released \(count) addresses"
        case .restart(let ranges):
            self.ranges = ranges.compactMap { CIDR($0) }
            try decider.restart(ranges)
            return nil
        }
    }

    /// The request, with its addresses.
    private func filled(_ value: JSONValue, _ name: String) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map { filled($0, name) })
        case .object(let object):
            if let index = object["same"]?.intValue {
                let addresses = held[object["of"]?.stringValue ?? name] ?? []
                return index < addresses.count ? .string(addresses[index]) : .null
            }
            var result = object
            for (member, value) in object.members { result[member] = filled(value, name) }
            return .object(result)
        default: return value
        }
    }

    // MARK: Comparing

    private mutating func compare(_ answer: DecisionAnswer, with expected: JSONValue, _ name: String) -> String? {
        switch answer {
        case .refused(let status, let causes):
            guard expected["status"]?.stringValue == status, (expected["causes"]?.strings ?? []) == causes else {
                return "answered \(status) \(causes), expected \(expected.text)"
            }
            return nil
        case .service(let service):
            let spec = service["spec"] ?? [:]
            guard let wanted = expected["spec"] else {
                return "answered \(spec.text), expected \(expected.text)"
            }
            let ips = spec["clusterIPs"]?.strings ?? []
            present.insert(name)
            for field in ["type", "ipFamilyPolicy", "ipFamilies", "clusterIP", "clusterIPs"] {
                guard matches(spec[field], wanted[field], name, ips) else {
                    return "\(field) of \(spec.text), expected \(expected.text)"
                }
            }
            held[name] = ips
            return nil
        }
    }

    private mutating func matches(_ found: JSONValue?, _ wanted: JSONValue?, _ name: String, _ ips: [String]) -> Bool {
        switch wanted {
        case .array(let elements):
            guard let others = found?.arrayValue, others.count == elements.count else { return false }
            for (element, other) in zip(elements, others) where !matches(other, element, name, ips) { return false }
            return true
        case .object(let object):
            if let index = object["same"]?.intValue {
                let addresses = held[object["of"]?.stringValue ?? name] ?? []
                return index < addresses.count && found?.stringValue == addresses[index]
            }
            return found?.stringValue.map { isFresh($0, object["family"]?.stringValue, name) } ?? false
        default: return found == wanted
        }
    }

    private mutating func isFresh(_ text: String, _ family: String?, _ name: String) -> Bool {
        guard let address = IPAddress(text), address.family.description == family else { return false }
        if decision.literals.contains(text) { drewLiteral = true }
        let others = present.subtracting([name]).compactMap { held[$0] }.joined()
        return ranges.contains { $0.contains(address) } && !others.contains(text)
    }
}
