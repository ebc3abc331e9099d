public import Addressing

/// A value that has one canonical text, in which no character needs an escape in JSON.
public protocol CanonicalText: Hashable, Sendable, BitwiseCopyable {
    /// nil where the text is not exactly the canonical one of a value.
    init?(canonical text: UnsafeRawBufferPointer)
    /// Calls `body` with the canonical text, which lives no longer than the call.
    func withText(_ body: (UnsafeRawBufferPointer) -> Void)
}

extension CanonicalText {
    /// Whether this is the canonical text.
    @inlinable
    public func isWritten(_ text: UnsafeRawBufferPointer) -> Bool {
        var isSame = false
        withText { isSame = $0.hasSameBytes(as: text) }
        return isSame
    }

    @inlinable
    public var text: String {
        var string = ""
        withText { string = String(decoding: $0, as: UTF8.self) }
        return string
    }
}

/// The text in the place of a value, as a client wrote it. Where that is the canonical text of one it is kept as the value, without memory
/// of its own; any other text, right or wrong, as it is. Two are equal where their texts are.
@frozen
public enum Written<Value: CanonicalText>: Sendable {
    case value(Value)
    /// Never the canonical text of a value.
    case other(String)

    @inlinable
    public init(_ text: String) {
        var text = text
        self = text.withUTF8 { Value(canonical: UnsafeRawBufferPointer($0)) }.map { .value($0) } ?? .other(text)
    }

    /// Of a text in memory.
    @inlinable
    public init(utf8 text: UnsafeRawBufferPointer) {
        self = Value(canonical: text).map { .value($0) } ?? .other(String(decoding: text, as: UTF8.self))
    }

    /// Calls `body` with the text, which lives no longer than the call.
    @inlinable
    public func withText(_ body: (UnsafeRawBufferPointer) -> Void) {
        switch self {
        case .value(let value): value.withText(body)
        case .other(var text): text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
        }
    }

    /// Whether this is the text.
    @inlinable
    public func isWritten(_ text: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .value(let value): return value.isWritten(text)
        case .other(var own): return own.withUTF8 { UnsafeRawBufferPointer($0).hasSameBytes(as: text) }
        }
    }

    /// nil where the text is another one than a value's canonical text.
    @inlinable public var value: Value? { if case .value(let value) = self { value } else { nil } }

    @inlinable public static var empty: Written { .other("") }
    @inlinable public var isEmpty: Bool { if case .other(let text) = self { text.isEmpty } else { false } }
}

extension Written: Hashable {
    @inlinable
    public static func == (left: Written, right: Written) -> Bool {
        switch (left, right) {
        case (.value(let left), .value(let right)): left == right
        case (.other(let left), .other(let right)): left == right
        case (.value, .other), (.other, .value): false
        }
    }
}

extension Written: CustomStringConvertible, ExpressibleByStringLiteral {
    @inlinable
    public init(stringLiteral text: String) { self.init(text) }

    @inlinable
    public var description: String {
        switch self {
        case .value(let value): value.text
        case .other(let text): text
        }
    }
}

extension IPAddress: CanonicalText {
    public init?(canonical text: UnsafeRawBufferPointer) {
        guard let address = IPAddress(utf8: text), address.isWritten(text) else { return nil }
        self = address
    }

    public func withText(_ body: (UnsafeRawBufferPointer) -> Void) { withUTF8 { body(UnsafeRawBufferPointer($0)) } }
}

extension CIDR: CanonicalText {
    public init?(canonical text: UnsafeRawBufferPointer) {
        let text = String(decoding: text, as: UTF8.self)
        guard let cidr = CIDR(text), cidr.description == text else { return nil }
        self = cidr
    }

    public func withText(_ body: (UnsafeRawBufferPointer) -> Void) {
        var text = description
        text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}

extension JSONReader {
    /// A string.
    mutating func readWritten<Value>() throws(JSONError) -> Written<Value> {
        let found = try readKey()
        guard let bytes = found.plainBytes else { return Written(try string(found.scan)) }
        if let value = Value(canonical: bytes) { return .value(value) }
        return .other(try string(found.scan))
    }

    /// A string; null counts as "".
    mutating func readWrittenOrEmpty<Value>() throws(JSONError) -> Written<Value> {
        try skipNull() ? .empty : try readWritten()
    }

    /// A string; null and "" count as absent.
    mutating func readNonEmptyWritten<Value>() throws(JSONError) -> Written<Value>? {
        let found: Written<Value> = try readWrittenOrEmpty()
        return found.isEmpty ? nil : found
    }
}

extension JSONWriter {
    mutating func value(_ value: some CanonicalText) { value.withText { plain($0) } }

    mutating func written<Value>(_ written: Written<Value>) {
        switch written {
        case .value(let value): self.value(value)
        case .other(let text): string(text)
        }
    }
}
