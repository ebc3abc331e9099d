/// One object of the folded form, as `Log.load` hands it over. Its bytes are lent: they are there until the call that gets them
/// returns.
public struct StoredObject {
    public let kind: RecordKind
    /// UTF-8.
    public let key: UnsafeRawBufferPointer
    /// That of its last change; of a cooling range, the one given last when it began.
    public let version: UInt64
    /// The version with which it came into being, no later than `version`: an object that was removed and put again is another.
    public let created: UInt64
    /// Of a node: whether it was marked as one that goes.
    public let isReleasing: Bool
    /// JSON text. One that an earlier release wrote may have `metadata.resourceVersion` in it.
    public let document: UnsafeRawBufferPointer
    public let context: UnsafeRawBufferPointer
    public let holdings: [Holding]

    /// A copy that outlives the call. O(length).
    public var record: StoredRecord {
        StoredRecord(
            key: ObjectKey(kind, String(decoding: key, as: UTF8.self)), version: version, created: created,
            isReleasing: isReleasing,
            form: StoredForm(document: Array(document), context: Array(context), holdings: holdings))
    }
}

/// The same with bytes of its own.
public struct StoredRecord: Sendable, Equatable {
    public var key: ObjectKey
    public var version: UInt64
    public var created: UInt64
    public var isReleasing: Bool
    public var form: StoredForm

    public init(
        key: ObjectKey, version: UInt64, created: UInt64? = nil, isReleasing: Bool = false, form: StoredForm
    ) {
        self.key = key
        self.version = version
        self.created = created ?? version
        self.isReleasing = isReleasing
        self.form = form
    }

    public var kind: RecordKind { key.kind }

    /// Lends it for the time of the call: for logs that keep their folded form in memory.
    public func lend<Result>(to body: (StoredObject) throws -> Result) rethrows -> Result {
        var text = key.key
        return try text.withUTF8 { text in
            try form.document.withUnsafeBytes { document in
                try form.context.withUnsafeBytes { context in
                    try body(
                        StoredObject(
                            kind: kind, key: UnsafeRawBufferPointer(text), version: version, created: created,
                            isReleasing: isReleasing, document: document, context: context, holdings: form.holdings))
                }
            }
        }
    }
}
