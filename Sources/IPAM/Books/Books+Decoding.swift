import Addressing
import Allocation
import Ledger
import TandemAPI

/// Objects of their stored forms: of other servers' proposals, and of the store at a start. nil where the form is not one that a
/// server writes; nothing is assumed of it.
extension StoredService {
    init?(_ key: ObjectKey, _ form: StoredForm) {
        guard
            let service = try? Documents.decode(
                form.document, { reader throws(JSONError) in try Service(from: &reader) }),
            Self.key(service.metadata) == key.key,
            // The key is taken apart at its first slash.
            !service.metadata.namespace.utf8.contains(UInt8(ascii: "/")),
            let context = try? form.context.withUnsafeBytes({ try ServiceContext($0) })
        else { return nil }
        self.init(service, key: key.key, context, holding: form.holdings, document: form.document)
    }
}

extension NodeRecord {
    convenience init?(_ key: ObjectKey, _ form: StoredForm, _ cidrs: Few<CIDR>, known: [AddressPool]) {
        guard let node = try? Documents.decode(form.document, { reader throws(JSONError) in try Node(from: &reader) }),
            node.metadata.name == key.key
        else { return nil }
        self.init(
            node, podCIDRs: cidrs, isUIDGiven: form.context.withUnsafeBytes { UIDOrigin.isGiven($0) },
            document: form.document, known: known)
    }
}

extension StoredPod {
    init?(_ key: ObjectKey, _ form: StoredForm, _ addresses: Few<IPAddress>, on node: StoredNode) {
        var text = key.key
        let pod: StoredPod? = text.withUTF8 { text in
            form.document.withUnsafeBytes { document in
                guard let (_, identity) = PodKey.parse(UnsafeRawBufferPointer(text)),
                    let read = try? ReadPod(document),
                    read.withNodeName({ String(decoding: $0, as: UTF8.self) }) == node.name
                else { return nil }
                return StoredPod(
                    identity, on: node, addresses: addresses, version: 0, document: document, read: read,
                    isUIDGiven: form.context.withUnsafeBytes { UIDOrigin.isGiven($0) }, hasOldKey: false)
            }
        }
        guard let pod else { return nil }
        self = pod
    }
}
