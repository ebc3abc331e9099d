import COpenSSL
import Synchronization
import TandemAPI

/// The identity of a Service's retry: `spec` as in the call of `AllocateServiceIPs`. Thread-safe.
///
/// Most retries are the same text, which is seen at once. Else both are compared by a hash of their meaning; that of the stored
/// one is made when it is first asked for, and once: a comparison costs the length of the present request, however long the other is.
final class StoredRequest: Sendable {
    /// The members of `spec` in one order, those inside them as they came; kept by the ledger.
    let text: [UInt8]
    private let hash = Mutex<CanonicalHash?>(nil)

    init(text: [UInt8]) {
        self.text = text
    }

    private var canonicalHash: CanonicalHash {
        hash.withLock { hash in
            if let hash { return hash }
            let made = CanonicalHash(of: text)
            hash = made
            return made
        }
    }

    /// O(length of both) the first time, then of the other's.
    func means(_ other: [UInt8]) -> Bool { text == other || canonicalHash == CanonicalHash(of: other) }
}

/// 128 bits of SHA-256 of a JSON text's meaning: members sorted at every depth, strings without needless escapes, numbers in
/// one form. Texts that mean the same have the same hash.
struct CanonicalHash: Hashable, Sendable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// O(length log members).
    init(of text: [UInt8]) {
        var writer = JSONWriter()
        if let value = try? JSONValue(parsing: text) { writer.canonical(value) }
        // The ledger keeps JSON; were it anything else, only the same text would be the same request.
        let bytes = writer.bytes.isEmpty ? text : writer.bytes
        var digest = [UInt8](repeating: 0, count: 32)
        // Of the size that SHA-256 fills; both pointers are used within the call alone.
        _ = SHA256(bytes, bytes.count, &digest)
        func word(_ start: Int) -> UInt64 { digest[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        (high, low) = (word(0), word(8))
    }

    /// nil where the text is not a `description`.
    init?(_ text: String) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        (self.high, self.low) = (high, low)
    }

    /// 32 hexadecimal digits.
    var description: String {
        [high, low].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

extension JSONWriter {
    /// The text that stands for all that mean the same.
    fileprivate mutating func canonical(_ value: JSONValue) {
        switch value {
        case .array(let elements):
            beginArray()
            for element in elements { canonical(element) }
            endArray()
        case .object(let object):
            beginObject()
            for (name, value) in object.members.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
                key(text: name)
                canonical(value)
            }
            endObject()
        case .number(let digits): text(CanonicalNumber.text(digits))
        case .null, .bool, .string: self.value(value)
        }
    }
}
