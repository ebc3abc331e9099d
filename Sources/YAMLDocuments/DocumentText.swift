import TandemAPI

/// One document's part of a text.
struct DocumentText {
    var bytes: [UInt8] = []
    /// Of its first byte in the whole text, from 1.
    var line = 1

    /// The parts between lines that begin with `---`. Each line ends with `\n`, the last one too, and `\r\n` has become that.
    ///
    /// Lines are looked for before YAML is: so does `kubectl`, and one document that is no YAML leaves the others alone.
    static func split(_ text: [UInt8]) throws(YAMLFault) -> [DocumentText] {
        var documents: [DocumentText] = []
        var current = DocumentText()
        var line = 0
        // Behind the last line end is no line.
        let text = text.last == UInt8(ascii: "\n") ? text.dropLast() : text[...]
        for var content in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            line += 1
            if content.last == UInt8(ascii: "\r") { content.removeLast() }
            if let rest = separated(content) {
                guard rest.isEmpty || rest.first == UInt8(ascii: "#") else {
                    let rest = String(decoding: rest, as: UTF8.self).cut(toBytes: 64)
                    throw YAMLFault(line: line, problem: "a line of --- goes on with \(rest)")
                }
                documents.append(current)
                current = DocumentText(line: line + 1)
                continue
            }
            if current.bytes.isEmpty { content = content.withoutMark }
            current.bytes += content
            current.bytes.append(UInt8(ascii: "\n"))
        }
        documents.append(current)
        return documents
    }

    /// The text after `---` at a line's start, before which files that were joined have their marks; nil in other lines.
    private static func separated(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let line = line.withoutMark
        guard line.starts(with: "---".utf8) else { return nil }
        return line.dropFirst(3).drop {
            $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r")
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate var withoutMark: Self { starts(with: PlainText.mark) ? dropFirst(PlainText.mark.count) : self }
}
