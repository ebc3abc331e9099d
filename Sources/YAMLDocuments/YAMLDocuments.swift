public import TandemAPI

/// YAML and JSON as JSON values, as `kubectl` reads them (by go-yaml's second version, YAML 1.1): manifests and configurations.
///
/// - A text that begins with `{` is a row of JSON documents, or else YAML. Documents of YAML lie between lines of `---`; text that
///   follows a document without such a line is passed over. UTF-16 with its mark is read, bytes that are no UTF-8 as U+FFFD.
/// - Anchors, aliases and merge keys are followed: of the mappings of a `<<` the first wins, and of a mapping's keys, merged
///   ones among them, the later.
/// - `y`, `yes`, `on` are true, `n`, `no`, `off` false; `010`, `0o10`, `0x8` and `0b1000` are 8, `1_000` is 1000; `12:30` and
///   `2001-01-01` are strings. A number that is no 64-bit integer is a floating-point number.
/// - A key is the value that it looks like, as text: `yes: 1` has the key `true`, `010: 1` the key `8`. Null is no key.
///
/// It differs from `kubectl` only in texts that `kubectl` refuses, `\/` in quotes and flow mappings at the start among them; in `! 1`, a
/// string there; and in its bounds. They bound the values, not the text's length alone: with aliases of aliases a few hundred
/// bytes stand for gigabytes.
public enum YAMLDocuments {
    /// One value for each document that has one but null. O(length + bytes that aliases repeat).
    public static func read(_ bytes: [UInt8]) throws(YAMLFault) -> [JSONValue] { try documents(bytes).map(\.value) }

    /// The same with the places of the documents.
    public static func documents(_ bytes: [UInt8]) throws(YAMLFault) -> [YAMLDocument] {
        guard bytes.count <= YAMLLimits.maximumBytes else {
            throw YAMLFault(line: 1, problem: "the text has more than \(YAMLLimits.maximumBytes >> 20) MiB")
        }
        let text = PlainText.utf8(bytes)
        if let documents = JSONRow.read(text) { return documents }
        var budget = YAMLReader.Budget()
        var documents: [YAMLDocument] = []
        for document in try DocumentText.split(text) {
            var reader = YAMLReader(document, budget)
            do throws(YAMLFault) {
                let value = try reader.document()
                if value != .null { documents.append((value, reader.firstLine)) }
            } catch {
                var fault = error
                fault.document = documents.count + 1
                throw fault
            }
            budget = reader.budget
        }
        return documents
    }

    /// The same of a string.
    public static func read(_ text: String) throws(YAMLFault) -> [JSONValue] { try read(Array(text.utf8)) }

    /// One document, which ends with a line end: this reader, `kubectl` and others read the same values from it. Members are in
    /// alphabetical order. O(length).
    public static func write(_ value: JSONValue) -> String {
        var writer = YAMLWriter()
        writer.document(value)
        return writer.text
    }
}
