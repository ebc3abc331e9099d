import TandemAPI

/// Makes values of events.
struct YAMLReader: ~Copyable {
    private struct Anchored {
        var value: JSONValue
        /// The size of the value, aliases followed, as `YAMLDocuments.maximumRepeatedBytes` counts it.
        var bytes: Int
        /// How deep it is by itself: 0 for a scalar.
        var depth: Int
    }

    private var events: YAMLEvents
    /// Of the document; of two with one name the later counts from there on.
    private var anchors: [String: Anchored] = [:]
    /// The size of all values so far, aliases followed, and how much of it aliases repeated.
    private var bytes = 0
    private var repeatedBytes = 0
    /// How deep the values since the last anchor's start lay.
    private var deepest = 0

    init(_ text: String) {
        events = YAMLEvents(text)
    }

    mutating func documents() throws(YAMLFault) -> [JSONValue] {
        var documents: [JSONValue] = []
        while true {
            switch try events.next() {
            case .streamEnd: return documents
            case .documentEnd: continue
            default:
                anchors = [:]
                let start = try events.next()
                documents.append(try value(start, at: 0))
            }
        }
    }

    func fault(_ problem: String) -> YAMLFault { YAMLFault(line: events.line, problem: problem) }

    /// The value that an event starts, which lies in `depth` others.
    private mutating func value(_ event: YAMLEvents.Event, at depth: Int) throws(YAMLFault) -> JSONValue {
        switch event {
        case .alias(let name): return try repeated(name, at: depth)
        case .scalar(let scalar):
            return try anchored(scalar.anchor, at: depth) { reader throws(YAMLFault) in
                reader.bytes += 16 + scalar.text.utf8.count
                return try reader.scalar(scalar)
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
        bytes += 16
        try reach(depth + 1)
        return depth + 1
    }

    private mutating func reach(_ depth: Int) throws(YAMLFault) {
        guard depth <= YAMLDocuments.maximumDepth else {
            throw fault("sequences and mappings lie more than \(YAMLDocuments.maximumDepth) deep")
        }
        deepest = max(deepest, depth)
    }

    // MARK: Aliases

    /// A value that is kept for aliases once it is whole: one that leads into itself leads nowhere.
    private mutating func anchored(
        _ anchor: String?, at depth: Int, _ read: (inout YAMLReader) throws(YAMLFault) -> JSONValue
    ) throws(YAMLFault) -> JSONValue {
        guard let anchor else { return try read(&self) }
        let (start, outer) = (bytes, deepest)
        deepest = depth
        let value = try read(&self)
        anchors[anchor] = Anchored(value: value, bytes: bytes - start, depth: deepest - depth)
        deepest = max(deepest, outer)
        return value
    }

    private mutating func repeated(_ name: String, at depth: Int) throws(YAMLFault) -> JSONValue {
        guard let anchored = anchors[name] else { throw fault("the alias *\(name.cut(toBytes: 64)) leads nowhere") }
        try reach(depth + anchored.depth)
        bytes += anchored.bytes
        repeatedBytes += anchored.bytes
        guard repeatedBytes <= YAMLDocuments.maximumRepeatedBytes else {
            throw fault(
                "excessive aliasing: aliases repeat more than \(YAMLDocuments.maximumRepeatedBytes >> 20) MiB")
        }
        return anchored.value
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
        /// Of each `<<`.
        var merged: [[JSONObject]] = []
        while true {
            let event = try events.next()
            if case .end = event { break }
            let (name, isMerge) = try key(event)
            guard isMerge || object[name] == nil else {
                throw fault("the key \(name.cut(toBytes: 64)) is there twice")
            }
            let start = try events.next()
            let value = try value(start, at: depth)
            if isMerge { merged.append(try objects(value)) } else { object[name] = value }
        }
        // The mapping's own keys win, then the last `<<`, and in its sequence the first mapping.
        for other in merged.reversed().joined() {
            for (name, value) in other.members where object[name] == nil { object[name] = value }
        }
        return object
    }

    private mutating func key(_ event: YAMLEvents.Event) throws(YAMLFault) -> (name: String, isMerge: Bool) {
        if case .alias(let name) = event, case .string(let text) = try repeated(name, at: 0) { return (text, false) }
        guard case .scalar(let scalar) = event else { throw fault("a key that is no text") }
        bytes += 16 + scalar.text.utf8.count
        if scalar.anchor != nil || scalar.tag != nil {
            let value = try self.scalar(scalar)
            if let anchor = scalar.anchor {
                anchors[anchor] = Anchored(value: value, bytes: 16 + scalar.text.utf8.count, depth: 0)
            }
        }
        return (scalar.text, scalar.isMerge)
    }

    /// The mappings that a `<<` merges: one, or several in a sequence.
    private func objects(_ value: JSONValue) throws(YAMLFault) -> [JSONObject] {
        let values = value.arrayValue ?? [value]
        let objects = values.compactMap(\.objectValue)
        guard objects.count == values.count else { throw fault("<< merges mappings alone") }
        return objects
    }
}
