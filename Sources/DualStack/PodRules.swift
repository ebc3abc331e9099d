public import Addressing
public import TandemAPI

/// A Pod's possible requests: "podIPs holds the IP addresses allocated to the pod. […] Pods may be allocated at most 1 value
/// for each of IPv4 and IPv6." (field `podIPs`)
///
/// Pure and thread-safe.
public struct PodRules: Sendable {
    private let podFamilies: [IPFamily]

    /// The families of the cluster CIDRs, in order.
    public init(podFamilies: [IPFamily]) {
        self.podFamilies = podFamilies
    }

    /// The families that a Pod gets an address of, in order, and the addresses that it asks for. Throws all faults together.
    public func check(
        _ request: PodRequest
    ) throws(APIError) -> (families: Few<IPFamily>, requested: Few<IPAddress>) {
        let pod = request.pod
        var faults = nameFaults(of: pod.metadata, kind: .pod)
        if pod.nodeName.isEmpty {
            faults.append(.required("spec.nodeName", "a pod's addresses come from its node"))
        } else if !DNSName.isSubdomain(pod.nodeName) {
            faults.append(.invalid("spec.nodeName", pod.nodeName, DNSName.subdomainRule))
        }
        let families = families(request.ipFamilies, &faults)
        let requested = requested(pod.podIPs, families, &faults)
        if let attachment = request.attachment { faults += Self.faults(of: attachment) }
        try faults.refuse(.pod, name: pod.metadata.name)
        return (families, requested)
    }

    /// The addresses of a Pod that is taken in as it stands in a cluster, in its order: of any family. Throws all faults together.
    public func addresses(shownBy pod: Pod) throws(APIError) -> Few<IPAddress> {
        var faults = nameFaults(of: pod.metadata, kind: .pod)
        if !pod.nodeName.isEmpty, !DNSName.isSubdomain(pod.nodeName) {
            faults.append(.invalid("spec.nodeName", pod.nodeName, DNSName.subdomainRule))
        } else if pod.nodeName.isEmpty, !pod.podIPs.isEmpty {
            faults.append(.required("spec.nodeName", "a pod's addresses come from its node"))
        }
        let shown = requested(pod.podIPs, [.ipv4, .ipv6], &faults)
        try faults.refuse(.pod, name: pod.metadata.name)
        return shown
    }

    /// Of a Pod that holds nothing its names alone are judged.
    public func checkNames(of pod: Pod) throws(APIError) {
        try nameFaults(of: pod.metadata, kind: .pod).refuse(.pod, name: pod.metadata.name)
    }

    private func families(
        _ asked: WrittenList<IPFamily>?, _ faults: inout APIError.Causes
    ) -> Few<IPFamily> {
        guard let asked else { return Few(podFamilies) }
        if asked.isEmpty { faults.append(.required("ipFamilies", "name at least one family, or leave it out")) }
        var families = Few<IPFamily>()
        for (index, name) in asked.enumerated() {
            let field = "ipFamilies[\(index)]"
            guard let family = name.value else {
                faults.append(.notSupported(field, name.description, podFamilies.map(\.description)))
                continue
            }
            guard !families.contains(family) else {
                faults.append(.duplicate(field, name.description))
                continue
            }
            if !podFamilies.contains(family) {
                faults.append(.invalid(field, name, "not configured on this cluster"))
            }
            families.append(family)
        }
        return families
    }

    private func requested(
        _ podIPs: WrittenList<IPAddress>, _ families: Few<IPFamily>, _ faults: inout APIError.Causes
    ) -> Few<IPAddress> {
        var requested = Few<IPAddress>()
        for (index, text) in podIPs.enumerated() {
            let field = "status.podIPs[\(index)].ip"
            guard let address = parsedAddress(text) else {
                faults.append(.invalid(field, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))
                continue
            }
            guard !requested.contains(where: { $0.family == address.family }) else {
                faults.append(.invalid(field, text, "may specify no more than one IP for each IP family"))
                continue
            }
            if !families.contains(address.family) {
                faults.append(.invalid(field, text, "the pod gets no \(address.family) address"))
            }
            requested.append(address)
        }
        return requested
    }

    /// As the CNI specification has them: a container's ID starts with a letter or digit; an interface's name is one that
    /// Linux takes.
    private static func faults(of attachment: Attachment) -> APIError.Causes {
        var faults = APIError.Causes()
        let id = Array(attachment.containerID.utf8)
        let isID = id.allSatisfy { byte in
            DNSName.isLetterOrDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
                || byte == UInt8(ascii: "-")
        }
        if id.isEmpty || id.count > 253 || !isID || !DNSName.isLetterOrDigit(id[0]) {
            faults.append(
                .invalid(
                    "attachment.containerID", attachment.containerID,
                    "must start with a letter or digit and consist of letters, digits, '_', '.' and '-', at most 253"))
        }
        let name = attachment.ifName
        let isName =
            (1...15).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
        if !isName {
            faults.append(
                .invalid(
                    "attachment.ifName", name,
                    "must be 1 to 15 printable characters without '/' and ':', and not '.' or '..'"))
        }
        return faults
    }
}
