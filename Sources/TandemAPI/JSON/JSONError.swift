/// Why a text is not the JSON that was expected, and where.
///
/// The reader keeps no path while it reads, so that good input pays nothing for it; `path(in:)` finds it afterwards.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of a fault. The set is open: later versions may add to it. One byte, so that an error stays in registers.
    public struct Code: Sendable, Hashable {
        private let number: UInt8

        /// The text is not JSON (RFC 8259).
        public static var syntax: Code { Code(number: 0) }
        /// It is JSON, but not of the expected shape.
        public static var type: Code { Code(number: 1) }
    }

    public var code: Code
    /// Offset of the fault in bytes from the start of the text.
    public var offset: Int
    /// The fault and its correction, without the place.
    public var message: String

    public init(_ code: Code, at offset: Int, _ message: String) {
        self.code = code
        self.offset = offset
        self.message = message
    }

    public var description: String { "\(message) at byte \(offset)" }

    /// The member that the fault lies in, such as `params.service.spec.ipFamilies[0]`; empty at the top.
    ///
    /// Complexity: O(`offset`); walks the text again.
    public func path(in text: UnsafeRawBufferPointer) -> String {
        JSONPathFinder.path(to: offset, in: text)
    }
}

/// Walks a text up to an offset and says which member that offset lies in.
enum JSONPathFinder {
    private enum Step {
        /// Where its name lies in the text; empty before the first and between two.
        case member(Range<Int>)
        case element(Int)
    }

    static func path(to offset: Int, in text: UnsafeRawBufferPointer) -> String {
        var steps: [Step] = []
        var position = 0
        // A string in an object is a key until its colon was seen.
        var expectsKey: [Bool] = []
        while position < min(offset, text.count) {
            switch text[position] {
            case UInt8(ascii: "{"):
                expectsKey.append(true)
                steps.append(.member(0..<0))
            case UInt8(ascii: "["):
                expectsKey.append(false)
                steps.append(.element(0))
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                _ = steps.popLast()
                _ = expectsKey.popLast()
            case UInt8(ascii: ","):
                if case .element(let index)? = steps.last { steps[steps.count - 1] = .element(index + 1) }
                if case .member? = steps.last {
                    steps[steps.count - 1] = .member(0..<0)
                    expectsKey[expectsKey.count - 1] = true
                }
            case UInt8(ascii: "\""):
                let start = position + 1
                position = start
                while position < text.count, text[position] != UInt8(ascii: "\"") {
                    position += text[position] == UInt8(ascii: "\\") ? 2 : 1
                }
                if expectsKey.last == true {
                    steps[steps.count - 1] = .member(start..<max(start, min(position, text.count)))
                    expectsKey[expectsKey.count - 1] = false
                }
            default: break
            }
            position += 1
        }
        var path = ""
        for step in steps {
            switch step {
            case .member(let name):
                guard !name.isEmpty else { continue }
                if !path.isEmpty { path += "." }
                path += String(decoding: text[name], as: UTF8.self)
            case .element(let index): path += "[\(index)]"
            }
        }
        return path
    }
}
