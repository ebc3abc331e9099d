import TandemAPI

/// Writes a value as `kubectl` does: in blocks, members in alphabetical order, several lines as such.
struct YAMLWriter {
    private(set) var text = ""

    /// The content of the mapping or sequence at `indent`, after its `name:` or `-`.
    private mutating func nested(_ value: JSONValue, at indent: Int, in parent: Parent) {
        switch value {
        case .array(let elements) where !elements.isEmpty:
            // A sequence's dashes stand below the first letter of the mapping's name, and beside the outer dash.
            if parent == .mapping { text += "\n" }
            sequence(elements, at: indent, startsInLine: parent == .sequence)
        case .object(let object) where !object.members.isEmpty:
            if parent == .mapping { text += "\n" }
            mapping(object, at: indent, startsInLine: parent == .sequence)
        default:
            if parent == .mapping { text += " " }
            text += YAMLText.scalar(value, indent: indent) + "\n"
        }
    }

    private enum Parent { case mapping, sequence }

    mutating func document(_ value: JSONValue) {
        switch value {
        case .array(let elements) where !elements.isEmpty: sequence(elements, at: 0, startsInLine: false)
        case .object(let object) where !object.members.isEmpty: mapping(object, at: 0, startsInLine: false)
        default: text += YAMLText.scalar(value, indent: 0) + "\n"
        }
    }

    private mutating func sequence(_ elements: [JSONValue], at indent: Int, startsInLine: Bool) {
        for (index, element) in elements.enumerated() {
            begin(at: indent, inLine: startsInLine && index == 0)
            text += "- "
            nested(element, at: indent + 2, in: .sequence)
        }
    }

    private mutating func mapping(_ object: JSONObject, at indent: Int, startsInLine: Bool) {
        for (index, member) in object.members.sorted(by: { $0.name < $1.name }).enumerated() {
            begin(at: indent, inLine: startsInLine && index == 0)
            let name = YAMLText.name(member.name)
            if name.utf8.count > YAMLText.longestSimpleName {
                text += "? " + name + "\n"
                begin(at: indent, inLine: false)
                text += ":"
            } else {
                text += name + ":"
            }
            if case .array = member.value {
                nested(member.value, at: indent, in: .mapping)
            } else {
                nested(member.value, at: indent + 2, in: .mapping)
            }
        }
    }

    private mutating func begin(at indent: Int, inLine: Bool) {
        if !inLine { text += String(repeating: " ", count: indent) }
    }
}
