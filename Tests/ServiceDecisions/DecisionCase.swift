import Addressing
import Foundation
public import TandemAPI

/// One recorded case: see README.md beside this file.
public struct DecisionCase: Sendable {
    public enum Action: Sendable {
        case create(JSONValue)
        case update(String, changes: JSONValue)
        case get(String)
        case release(String)
        case restart([String])
    }

    public struct Step: Sendable {
        public var action: Action
        public var expected: JSONValue
    }

    public var id: String
    public var title: String
    public var ranges: [String]
    public var steps: [Step]

    /// Addresses that the case names; one that is drawn must not be among them.
    public var literals: Set<String>

    public var restarts: Bool {
        steps.contains { if case .restart = $0.action { true } else { false } }
    }

    /// All cases, as they stand in the file.
    public static let all: [DecisionCase] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("decisions.jsonl")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map { line in
            guard let json = try? JSONValue(parsing: String(line)), let decision = DecisionCase(json) else {
                preconditionFailure("not a case: \(line)")
            }
            return decision
        }
    }()

    init?(_ json: JSONValue) {
        guard let id = json["id"]?.stringValue, let ranges = json["ranges"]?.strings,
            let steps = json["steps"]?.arrayValue
        else { return nil }
        self.id = id
        self.ranges = ranges
        title = json["title"]?.stringValue ?? ""
        self.steps = steps.compactMap(Step.init)
        guard self.steps.count == steps.count else { return nil }
        literals = []
        json.collectAddresses(into: &literals)
    }
}

extension DecisionCase.Step {
    init?(_ json: JSONValue) {
        expected = json["expect"] ?? [:]
        if let service = json["create"] {
            action = .create(service)
        } else if let name = json["update"]?.stringValue, let changes = json["changes"] {
            action = .update(name, changes: changes)
        } else if let name = json["get"]?.stringValue {
            action = .get(name)
        } else if let name = json["release"]?.stringValue {
            action = .release(name)
        } else if let ranges = json["restart"]?.strings {
            action = .restart(ranges)
        } else {
            return nil
        }
    }
}

extension JSONValue {
    var strings: [String]? { arrayValue?.compactMap(\.stringValue) }

    fileprivate func collectAddresses(into found: inout Set<String>) {
        switch self {
        case .string(let text): if text.contains(".") || text.contains(":") { found.insert(text) }
        case .array(let elements): for element in elements { element.collectAddresses(into: &found) }
        case .object(let object): for (_, value) in object.members { value.collectAddresses(into: &found) }
        default: break
        }
    }
}

/// The Service `kubernetes` as a cluster has it from its start, at the first address of the first range.
public func kubernetesService(_ ranges: [String]) -> JSONValue {
    let first = ranges.first.flatMap { CIDR($0) }.flatMap { $0.address(at: 1) }
    return [
        "metadata": ["name": "kubernetes"],
        "spec": ["clusterIP": .string(first?.description ?? ""), "ports": [["port": 443]]],
    ]
}
