import Ledger

extension FuzzTarget {
    /// Bytes are an entry in its one form, or none; one that a checksum closes is the same entry.
    static func entry(_ input: UnsafeRawBufferPointer) {
        guard let proposals = EntryCoding.decode(input) else { return }
        let bytes = EntryCoding.encode(proposals[...])
        precondition(bytes.elementsEqual(input), "an entry has two forms")
        precondition(bytes.count == EntryCoding.encodedBytes(proposals[...]), "an entry's size is not what was said")
        let sealed = EntryCoding.encode(proposals[...], isSealed: true)
        precondition(
            sealed.withUnsafeBytes { EntryCoding.decode($0, isSealed: true) } == proposals, "a seal changes an entry")
    }
}
