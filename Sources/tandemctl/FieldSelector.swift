import TandemAPI

/// `--field-selector`: members that have, or have not, a value: `spec.nodeName=n1,metadata.namespace!=default`.
struct FieldSelector: Sendable {
    private struct Requirement {
        var path: [String]
        var value: String
        var isNegated: Bool
    }

    private let requirements: [Requirement]

    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    /// Throws a `Fault`.
    init(_ text: String) throws(Fault) {
        var requirements: [Requirement] = []
        for part in text.split(separator: ",") {
            var found: Requirement?
            for (word, isNegated) in [("!=", true), ("==", false), ("=", false)] where found == nil {
                guard let place = part.firstRange(of: word) else { continue }
                found = Requirement(
                    path: part[..<place.lowerBound].split(separator: ".").map(String.init),
                    value: String(part[place.upperBound...]), isNegated: isNegated)
            }
            guard let found else {
                throw Fault(
                    description: "\"\(part)\" is no condition on a field; write spec.nodeName=n1 or spec.nodeName!=n1")
            }
            requirements.append(found)
        }
        self.requirements = requirements
    }

    /// Throws a `Fault` for a field that objects of the kind are not selected by: a misspelt one would match nothing.
    func check(_ kind: Kind) throws(Fault) {
        for name in requirements.map({ $0.path.joined(separator: ".") }) where !kind.fields.contains(name) {
            let near = name.nearest(of: kind.fields).map { "did you mean \($0)? " } ?? ""
            throw Fault(
                description:
                    "a \(kind.word) is not selected by \"\(name)\"; \(near)there are \(kind.fields.joined(separator: ", "))"
            )
        }
    }

    func matches(_ object: JSONValue) -> Bool {
        requirements.allSatisfy { requirement in
            let value = requirement.path.reduce(object as JSONValue?) { $0?[$1] }
            return (JSONPath.text(of: value ?? .null) == requirement.value) != requirement.isNegated
        }
    }

    /// The one selected node, by which the server itself can filter pods.
    var nodeName: String? {
        requirements.first { $0.path == ["spec", "nodeName"] && !$0.isNegated }?.value
    }
}

extension Kind {
    /// The members that objects of this kind are selected by.
    var fields: [String] {
        switch self {
        case .object(.service):
            ["metadata.name", "metadata.namespace", "spec.clusterIP", "spec.ipFamilyPolicy", "spec.type"]
        case .object(.node): ["metadata.name", "spec.podCIDR", "spec.unschedulable"]
        case .object(.pod):
            [
                "metadata.name", "metadata.namespace", "spec.hostNetwork", "spec.nodeName", "status.phase",
                "status.podIP",
            ]
        case .pool: ["name", "family", "cidr"]
        case .server: ["name", "address", "ready"]
        }
    }
}
