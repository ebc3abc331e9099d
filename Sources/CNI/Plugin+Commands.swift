import Addressing
import TandemAPI

/// The commands, each by one call or two.
extension Plugin {
    func add() throws(CNIError) -> [UInt8] {
        let asked = invocation.arguments.addresses + configuration.addresses
        let result = try allocate(podRequest(asking: asked))
        guard asked.allSatisfy(result.addresses.contains) else {
            throw CNIError(.decodingFailure, "the server gave other addresses than those that were asked for")
        }
        return result.json(configuration)
    }

    /// By the attachment: a later container under the same pod's name keeps its addresses. A pod that was there before this
    /// plugin was, and so is known without attachment, goes by its uid.
    func delete() throws(CNIError) {
        try release(invocation.attachment, podUID: invocation.arguments.podUID)
    }

    /// The attachment must still hold its addresses, and the runtime must know of each.
    func check() throws(CNIError) {
        guard let expected = configuration.previousAddresses else {
            throw .configuration("prevResult", "missing; CHECK needs the result of the ADD before")
        }
        let request = podRequest(asking: [])
        let found = try allocate(request, isDryRun: true)
        guard found.isReplayed else {
            throw CNIError(
                .refused(.notFound),
                "\(invocation.attachment.containerID)/\(invocation.attachment.ifName) has no addresses any more")
        }
        for address in found.addresses where !expected.contains(address) {
            throw CNIError(
                .refused(.failedPrecondition), "\(address) is allocated, but is not among the addresses of prevResult")
        }
    }

    /// Whether an ADD would be served now.
    func status() throws(CNIError) {
        let answer: JSONValue
        do throws(CNIError) {
            answer = try server.call(.checkNode, ["node": ["metadata": ["name": .string(node)]]])
        } catch {
            throw CNIError(.notAvailable, error.message, details: error.details)
        }
        guard answer["ready"] == true else {
            throw CNIError(.notAvailable, answer["reason"]?.stringValue ?? "the server does not say that it is ready")
        }
    }

    /// Releases allocations of this plugin on this node for this network that the runtime no longer knows.
    func collectGarbage() throws(CNIError) {
        guard let listed = configuration.validAttachments else {
            throw .configuration(
                "cni.dev/valid-attachments", "missing; GC needs the attachments to be kept, an empty list for none")
        }
        let valid = Set(listed)
        var failure: CNIError?
        for attachment in try attachments() where !valid.contains(attachment) {
            do throws(CNIError) {
                try release(attachment)
            } catch {
                // The others go nevertheless.
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    // MARK: Inside

    /// On this node: another may have a container of the same ID.
    private func release(_ attachment: Attachment, podUID: String? = nil) throws(CNIError) {
        var released = attachment.json
        released["nodeName"] = .string(node)
        released["podUID"] = podUID.map { .string($0) }
        _ = try server.call(.release, ["attachment": released])
    }

    private func attachments() throws(CNIError) -> [Attachment] {
        var found: [Attachment] = []
        var params: JSONValue = ["nodeName": .string(node)]
        repeat {
            let page = try server.call(.listPods, params)
            for pod in page["items"]?.arrayValue ?? [] {
                if let note = AttachmentNote(pod), note.network == configuration.name { found.append(note.attachment) }
            }
            params["continue"] = page["continue"]
        } while params["continue"] != nil
        return found
    }

    private func allocate(_ params: JSONValue, isDryRun: Bool = false) throws(CNIError) -> AddResult {
        var params = params
        if isDryRun { params["dryRun"] = true }
        guard let result = AddResult(try server.call(.allocatePodIPs, params)) else {
            throw CNIError(.decodingFailure, "the server's answer has no addresses in it")
        }
        return result
    }

    private func podRequest(asking addresses: [IPAddress]) -> JSONValue {
        let (attachment, arguments) = (invocation.attachment, invocation.arguments)
        var metadata: JSONValue = [
            "namespace": .string(arguments.podNamespace ?? "default"),
            "name": .string(Self.podName(arguments.podName, attachment)),
            "annotations": AttachmentNote(attachment: attachment, network: configuration.name).annotations,
        ]
        if let uid = arguments.podUID { metadata["uid"] = .string(uid) }
        var pod: JSONValue = ["metadata": metadata, "spec": ["nodeName": .string(node)]]
        if !addresses.isEmpty {
            // The same address may be asked for in more than one way.
            var seen: Set<IPAddress> = []
            let distinct = addresses.filter { seen.insert($0).inserted }
            pod["status"] = ["podIPs": .array(distinct.map { ["ip": .string($0.description)] })]
        }
        return ["pod": pod, "attachment": attachment.json]
    }

    /// The name that the runtime gave, as it is where Kubernetes could have given it; another runtime's is made fit, and the
    /// container's ID stands for none.
    private static func podName(_ given: String?, _ attachment: Attachment) -> String {
        guard let given else { return fit(attachment.containerID) }
        if given.utf8.allSatisfy({ isFit($0) || $0 == UInt8(ascii: ".") }) { return given }
        let name = fit(given)
        return name.isEmpty ? fit(attachment.containerID) : name
    }

    private static func isFit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        default: false
        }
    }

    /// Small letters, digits and '-' alone, with neither end a '-'; 253 bytes at most.
    static func fit(_ text: String) -> String {
        let bytes = text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte + 32
            default: isFit(byte) ? byte : UInt8(ascii: "-")
            }
        }
        var name = String(decoding: bytes.drop { $0 == UInt8(ascii: "-") }.prefix(253), as: UTF8.self)
        while name.last == "-" { name.removeLast() }
        return name
    }
}

/// The notes at a pod by which GC knows its attachment and its network: two annotations. The server keeps them without memory where a pod
/// has these two alone and in this order (`PluginNote` in its sources).
struct AttachmentNote {
    var attachment: Attachment
    var network: String

    private static let attachmentKey = "tandem-cni/attachment"
    private static let networkKey = "tandem-cni/network"

    init(attachment: Attachment, network: String) {
        self.attachment = attachment
        self.network = network
    }

    /// nil for a pod that this plugin did not allocate for.
    init?(_ pod: JSONValue) {
        let annotations = pod["metadata"]?["annotations"]
        // Neither name has a slash in it.
        guard let parts = annotations?[Self.attachmentKey]?.stringValue?.split(separator: "/"), parts.count == 2 else {
            return nil
        }
        attachment = Attachment(containerID: String(parts[0]), ifName: String(parts[1]))
        network = annotations?[Self.networkKey]?.stringValue ?? ""
    }

    var annotations: JSONValue {
        [
            Self.attachmentKey: .string("\(attachment.containerID)/\(attachment.ifName)"),
            Self.networkKey: .string(network),
        ]
    }
}

extension Attachment {
    fileprivate var json: JSONValue { ["containerID": .string(containerID), "ifName": .string(ifName)] }
}
