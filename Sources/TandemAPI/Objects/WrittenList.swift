public import Addressing

/// The texts in the places of values. Up to two canonical ones are kept as the values, without memory of their own; otherwise all are kept as texts.
@frozen
public struct WrittenList<Value: CanonicalText>: Sendable {
    @usableFromInline var one: Value?
    @usableFromInline var two: Value?
    /// All of them, where one is not canonical, or they are more than two.
    @usableFromInline var texts: [String]?

    @inlinable
    public init() {}

    @inlinable
    public init(_ list: some Sequence<Written<Value>>) {
        for written in list { append(written) }
    }

    @inlinable
    public init(_ values: Few<Value>) {
        for value in values { append(.value(value)) }
    }
}

extension WrittenList: Hashable {
    @inlinable
    public static func == (left: WrittenList, right: WrittenList) -> Bool {
        left.one == right.one && left.two == right.two && left.texts == right.texts
    }
}

extension WrittenList: ExpressibleByArrayLiteral {
    @inlinable
    public init(arrayLiteral elements: Written<Value>...) { self.init(elements) }
}

extension WrittenList: RandomAccessCollection, MutableCollection {
    @inlinable public var startIndex: Int { 0 }

    @inlinable
    public var endIndex: Int {
        if let texts { return texts.count }
        return two != nil ? 2 : one != nil ? 1 : 0
    }

    @inlinable
    public subscript(position: Int) -> Written<Value> {
        get {
            if let texts { return Written(texts[position]) }
            return .value(position == 0 ? one! : position == 1 ? two! : [][position])
        }
        set {
            precondition(position < endIndex, "no such element")
            var all = Array(self)
            all[position] = newValue
            self = WrittenList(all)
        }
    }
}

extension WrittenList: RangeReplaceableCollection {
    @inlinable
    public mutating func append(_ element: Written<Value>) {
        if texts == nil, case .value(let value) = element {
            if one == nil {
                one = value
                return
            }
            if two == nil {
                two = value
                return
            }
        }
        appendText(element.description)
    }

    @inlinable
    @inline(never)
    mutating func appendText(_ text: String) {
        if texts == nil {
            texts = map { $0.description }
            (one, two) = (nil, nil)
        }
        texts?.append(text)
    }

    /// O(count).
    @inlinable
    public mutating func replaceSubrange(_ range: Range<Int>, with elements: some Collection<Written<Value>>) {
        var all = Array(self)
        all.replaceSubrange(range, with: elements)
        self = WrittenList(all)
    }
}

extension WrittenList {
    /// Whether there is one text, this one, which is no value's.
    @inlinable
    public func isOnly(_ text: StaticString) -> Bool {
        guard let texts, texts.count == 1 else { return false }
        return texts[0] == text.description
    }

    /// Their values, as far as they are canonical.
    @inlinable
    public var values: Few<Value> {
        var values = Few<Value>()
        for written in self {
            if let value = written.value { values.append(value) }
        }
        return values
    }
}

extension JSONReader {
    /// An array of strings; null counts as absent: an empty list.
    mutating func readWrittenList<Value>() throws(JSONError) -> WrittenList<Value> {
        guard try !skipNull() else { return [] }
        var list = WrittenList<Value>()
        try beginArray()
        var count = 0
        while try nextElement(&count) { list.append(try readWritten()) }
        return list
    }
}

extension JSONWriter {
    mutating func writtenList<Value>(_ list: WrittenList<Value>) {
        beginArray()
        for written in list { self.written(written) }
        endArray()
    }
}
