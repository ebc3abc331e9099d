/// One stored object as recovery hands it over. Its bytes are lent: they are there until the call that gets them returns.
public struct RecoveredObject {
    public let kind: ObjectKind
    /// UTF-8.
    public let key: UnsafeRawBufferPointer
    public let version: UInt64
    public let document: UnsafeRawBufferPointer
    public let context: UnsafeRawBufferPointer
    public let holdings: [Holding]

    /// A copy that outlives the call. O(length).
    public var record: LedgerRecord {
        LedgerRecord(
            kind: kind, key: String(decoding: key, as: UTF8.self), version: version,
            change: .put(document: Array(document), context: Array(context), holdings: holdings))
    }

    /// Lends what a record puts; nothing where it deletes.
    static func lend(_ record: LedgerRecord, to body: (RecoveredObject) throws -> Void) rethrows {
        guard case .put(let document, let context, let holdings) = record.change else { return }
        var key = record.key
        try key.withUTF8 { key in
            try document.withUnsafeBytes { document in
                try context.withUnsafeBytes { context in
                    try body(
                        RecoveredObject(
                            kind: record.kind, key: UnsafeRawBufferPointer(key), version: record.version,
                            document: document, context: context, holdings: holdings))
                }
            }
        }
    }
}
