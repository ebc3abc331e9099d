import TandemAPI

/// The annotations that `tandem-cni` gives each pod: its attachment, which a container's identity has as well, and the plugin's network.
enum PluginNote {
    private static let attachmentMember: StaticString = #","annotations":{"tandem-cni/attachment":""#
    private static let networkMember: StaticString = #"","tandem-cni/network":""#

    /// The network, where these members of a metadata are the annotations of a pod of this identity and nothing else.
    static func network(
        in members: UnsafeRawBufferPointer, of identity: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        guard !members.isEmpty, let asked = attachment(identity) else { return nil }
        var scan = TextScan(rest: members)
        guard scan.skip(attachmentMember), let attachment = scan.string(), attachment.hasSameBytes(as: asked),
            scan.skip(#","tandem-cni/network":""#), let network = scan.string(), scan.skip("}"), scan.rest.isEmpty
        else { return nil }
        return network
    }

    /// The way back, in pieces.
    static func members(
        of identity: UnsafeRawBufferPointer, network: UnsafeRawBufferPointer
    ) -> [UnsafeRawBufferPointer] {
        [bytes(attachmentMember), attachment(identity) ?? identity, bytes(networkMember), network, bytes(#""}"#)]
    }

    /// `containerID/ifName`; nil where it is no container's. The identity is a `PodIdentity.key`.
    private static func attachment(_ identity: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var scan = TextScan(rest: identity)
        return scan.skip("container/") ? scan.rest : nil
    }

    private static func bytes(_ text: StaticString) -> UnsafeRawBufferPointer {
        text.bytes
    }
}
