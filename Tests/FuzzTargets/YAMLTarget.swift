import TandemAPI
import YAMLDocuments

extension FuzzTarget {
    /// Documents that were read are written in a form that is read as the same.
    static func yaml(_ input: UnsafeRawBufferPointer) {
        guard let documents = try? YAMLDocuments.read(Array(input)) else { return }
        for document in documents where isFinite(document) {
            let text = YAMLDocuments.write(document)
            guard let again = try? YAMLDocuments.read(text), again.count == 1 else {
                preconditionFailure("what was written can't be read: \(text.debugDescription)")
            }
            precondition(
                isSame(again[0], document), "what was written is read as something else: \(text.debugDescription)")
        }
    }

    /// Numbers of JSON keep their text, of which YAML has the value alone.
    private static func isSame(_ left: JSONValue, _ right: JSONValue) -> Bool {
        switch (left, right) {
        case (.number(let left), .number(let right)): left == right || Double(left) == Double(right)
        case (.array(let left), .array(let right)): left.elementsEqual(right, by: isSame)
        case (.object(let left), .object(let right)):
            left.members.count == right.members.count
                && left.members.allSatisfy { name, value in right[name].map { isSame(value, $0) } ?? false }
        default: left == right
        }
    }

    /// JSON's grammar has numbers that no reader has.
    private static func isFinite(_ value: JSONValue) -> Bool {
        switch value {
        case .number(let digits): Double(digits)?.isFinite ?? false
        case .array(let elements): elements.allSatisfy(isFinite)
        case .object(let object): object.members.allSatisfy { isFinite($0.value) }
        default: true
        }
    }
}
