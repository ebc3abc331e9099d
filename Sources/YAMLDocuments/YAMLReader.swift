import TandemAPI

/// Makes the value of one document of its events.
struct YAMLReader: ~Copyable {
    /// The bytes that aliases may repeat, for all documents of a text together.
    struct Budget {
        /// The size of all values so far, aliases followed.
        fileprivate var bytes = 0
        fileprivate var repeatedBytes = 0
    }

    private struct Anchored {
        var value: JSONValue
        /// The size of the value, aliases followed, as `YAMLLimits.maximumRepeatedBytes` counts it.
        var bytes: Int
        /// How many steps it takes to make it.
        var steps: Int
        /// How deep it is by itself: 0 for a scalar.
        var depth: Int
        /// Of a scalar: as a key it has another text than as a value.
        var scalar: YAMLEvents.Scalar?
    }

    private enum Anchor {
        /// Its value began at this step, and is not whole.
        case open(Int)
        case whole(Anchored)
    }

    private var events: YAMLEvents
    /// Of two with one name the one that begins later counts from there on.
    private var anchors: [String: Anchor] = [:]
    private(set) var budget: Budget
    /// One for the document and one for each scalar, sequence, mapping and alias, aliases followed; and how many of them aliases
    /// made. go-yaml counts so.
    private var (steps, repeatedSteps) = (1, 0)
    /// How deep the values since the last anchor's start lay.
    private var deepest = 0

    /// Of the document's first word, in the whole text.
    private(set) var firstLine: Int

    init(_ document: DocumentText, _ budget: Budget) {
        firstLine = document.line
        events = YAMLEvents(document)
        self.budget = budget
    }

    mutating func document() throws(YAMLFault) -> JSONValue {
        guard case .documentStart = try events.next() else { return .null }
        let start = try events.next()
        firstLine = events.line
        let value = try value(start, at: 0)
        // So that a fault at the end of the value is seen; text after the document is not read.
        _ = try events.next()
        return value
    }

    func fault(_ problem: String) -> YAMLFault { YAMLFault(line: events.line, problem: problem) }

    /// The value that an event starts, which lies in `depth` others.
    private mutating func value(_ event: YAMLEvents.Event, at depth: Int) throws(YAMLFault) -> JSONValue {
        try step()
        switch event {
        case .alias(let name): return try repeated(name, at: depth).value
        case .scalar(let scalar):
            let resolved = try resolved(scalar)
            return try anchored(scalar.anchor, at: depth, scalar) { reader throws(YAMLFault) in
                guard let value = resolved.value else {
                    throw reader.fault("JSON has no number like \(scalar.text.cut(toBytes: 64))")
                }
                return value
            }
        case .sequenceStart(let anchor):
            return try anchored(anchor, at: depth) { reader throws(YAMLFault) in
                .array(try reader.sequence(at: try reader.inner(depth)))
            }
        case .mappingStart(let anchor):
            return try anchored(anchor, at: depth) { reader throws(YAMLFault) in
                .object(try reader.mapping(at: try reader.inner(depth)))
            }
        case .end, .documentStart, .documentEnd, .streamEnd: throw fault("a value is missing")
        }
    }

    /// Where the members of a collection at `depth` lie.
    private mutating func inner(_ depth: Int) throws(YAMLFault) -> Int {
        budget.bytes += 16
        try reach(depth + 1)
        return depth + 1
    }

    private mutating func reach(_ depth: Int) throws(YAMLFault) {
        guard depth <= YAMLLimits.maximumDepth else {
            throw fault("sequences and mappings lie more than \(YAMLLimits.maximumDepth) deep")
        }
        deepest = max(deepest, depth)
    }

    // MARK: Aliases

    /// A value that is kept for aliases once it is whole.
    private mutating func anchored(
        _ anchor: String?, at depth: Int, _ scalar: YAMLEvents.Scalar? = nil,
        _ read: (inout YAMLReader) throws(YAMLFault) -> JSONValue
    ) throws(YAMLFault) -> JSONValue {
        let (firstByte, firstStep, outer) = (budget.bytes, steps - 1, deepest)
        if let scalar { budget.bytes += 16 + scalar.text.utf8.count }
        guard let anchor else { return try read(&self) }
        deepest = depth
        anchors[anchor] = .open(firstStep)
        let value = try read(&self)
        if case .open(firstStep)? = anchors[anchor] {
            let anchored = Anchored(
                value: value, bytes: budget.bytes - firstByte, steps: steps - firstStep, depth: deepest - depth,
                scalar: scalar)
            anchors[anchor] = .whole(anchored)
        }
        deepest = max(deepest, outer)
        return value
    }

    private mutating func repeated(_ name: String, at depth: Int) throws(YAMLFault) -> Anchored {
        guard case .whole(let anchored)? = anchors[name] else {
            let place = anchors[name] == nil ? "nowhere" : "into itself"
            throw fault("the alias *\(name.cut(toBytes: 64)) leads \(place)")
        }
        try reach(depth + anchored.depth)
        budget.bytes += anchored.bytes
        budget.repeatedBytes += anchored.bytes
        guard budget.repeatedBytes <= YAMLLimits.maximumRepeatedBytes else {
            throw fault(
                "excessive aliasing: aliases repeat more than \(YAMLLimits.maximumRepeatedBytes >> 20) MiB")
        }
        try step(anchored.steps, isRepeated: true)
        return anchored
    }

    private mutating func step(_ count: Int = 1, isRepeated: Bool = false) throws(YAMLFault) {
        steps += count
        if isRepeated { repeatedSteps += count }
        guard repeatedSteps > 100, steps > 1_000 else { return }
        // go-yaml: of up to 400,000 steps aliases may make 99 %, of 4,000,000 and more a tenth, and between in proportion.
        let part = min(1, max(0, Double(steps - 400_000) / 3_600_000))
        guard Double(repeatedSteps) / Double(steps) <= 0.99 - part * 0.89 else {
            throw fault("excessive aliasing: aliases make \(repeatedSteps) of \(steps) values")
        }
    }

    // MARK: Collections

    private mutating func sequence(at depth: Int) throws(YAMLFault) -> [JSONValue] {
        var elements: [JSONValue] = []
        while true {
            let event = try events.next()
            if case .end = event { return elements }
            elements.append(try value(event, at: depth))
        }
    }

    private mutating func mapping(at depth: Int) throws(YAMLFault) -> JSONObject {
        var object = JSONObject()
        while true {
            let event = try events.next()
            if case .end = event { return object }
            if case .scalar(let scalar) = event, scalar.isMerge {
                _ = try anchored(scalar.anchor, at: depth, scalar) { _ in .string(scalar.text) }
                try merge(into: &object, at: depth)
            } else {
                let name = try key(event)
                let start = try events.next()
                object[name] = try value(start, at: depth)
            }
        }
    }

    /// Of the mappings in a sequence the first wins. An alias of a sequence is refused, as by go-yaml.
    private mutating func merge(into object: inout JSONObject, at depth: Int) throws(YAMLFault) {
        let start = try events.next()
        let value = try value(start, at: depth)
        let values = if case .sequenceStart = start { value.arrayValue ?? [] } else { [value] }
        for value in values.reversed() {
            guard let merged = value.objectValue else { throw fault("<< merges mappings alone") }
            for (name, value) in merged.members { object[name] = value }
        }
    }

    private mutating func key(_ event: YAMLEvents.Event) throws(YAMLFault) -> String {
        try step()
        let key: YAMLEvents.Scalar?
        switch event {
        case .alias(let name): key = try repeated(name, at: 0).scalar
        case .scalar(let scalar):
            key = scalar
            _ = try anchored(scalar.anchor, at: 0, scalar) { reader throws(YAMLFault) in
                try reader.resolved(scalar).value ?? .null
            }
        default: key = nil
        }
        guard let key, let name = try resolved(key).key else { throw fault("a key that is no text, number or boolean") }
        return name
    }
}
