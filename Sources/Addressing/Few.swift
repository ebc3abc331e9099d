/// A list of small values that mostly has one for each of the two families: up to two lie in the list itself, more in an array. O(1) up to
/// two; a copy costs no more than one of a few words.
@frozen
public struct Few<Element: BitwiseCopyable> {
    @usableFromInline var one: Element?
    @usableFromInline var two: Element?
    /// All of them, where they are more than two.
    @usableFromInline var many: [Element]?

    @inlinable
    public init(_ elements: [Element]) {
        switch elements.count {
        case 0: break
        case 1: one = elements[0]
        case 2: (one, two) = (elements[0], elements[1])
        default: many = elements
        }
    }
}

extension Few: Sendable where Element: Sendable {}

extension Few: Equatable where Element: Equatable {
    @inlinable
    public static func == (left: Few, right: Few) -> Bool {
        left.one == right.one && left.two == right.two && left.many == right.many
    }
}

extension Few: Hashable where Element: Hashable {}

extension Few: ExpressibleByArrayLiteral {
    @inlinable
    public init(arrayLiteral elements: Element...) { self.init(elements) }
}

extension Few: RandomAccessCollection, MutableCollection {
    @inlinable public var startIndex: Int { 0 }

    @inlinable
    public var endIndex: Int {
        if let many { return many.count }
        return two != nil ? 2 : one != nil ? 1 : 0
    }

    @inlinable
    public subscript(position: Int) -> Element {
        get {
            if let many { return many[position] }
            // An index past the end stops the process.
            return position == 0 ? one! : position == 1 ? two! : [][position]
        }
        set {
            precondition(position < endIndex, "no such element")
            if many != nil {
                many?[position] = newValue
            } else if position == 0 {
                one = newValue
            } else {
                two = newValue
            }
        }
    }
}

extension Few: RangeReplaceableCollection {
    @inlinable
    public init() {}

    @inlinable
    public mutating func append(_ element: Element) {
        if many != nil {
            many?.append(element)
        } else if let one {
            if let two {
                many = [one, two, element]
                (self.one, self.two) = (nil, nil)
            } else {
                two = element
            }
        } else {
            one = element
        }
    }

    /// O(count).
    @inlinable
    public mutating func replaceSubrange(_ range: Range<Int>, with elements: some Collection<Element>) {
        var all = Array(self)
        all.replaceSubrange(range, with: elements)
        self = Few(all)
    }
}

extension Few {
    /// As `Collection.map`, without an array of up to two.
    @inlinable
    public func map<Result: BitwiseCopyable>(_ transform: (Element) -> Result) -> Few<Result> {
        var results = Few<Result>()
        for element in self { results.append(transform(element)) }
        return results
    }

    /// As `Collection.compactMap`, without an array of up to two.
    @inlinable
    public func compactMap<Result: BitwiseCopyable>(_ transform: (Element) -> Result?) -> Few<Result> {
        var results = Few<Result>()
        for element in self {
            if let result = transform(element) { results.append(result) }
        }
        return results
    }
}
