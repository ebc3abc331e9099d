import Addressing
import TandemAPI

/// `spec.type`: "determines how the Service is exposed. Defaults to ClusterIP."
enum ServiceType {
    static let clusterIP = "ClusterIP"
    static let nodePort = "NodePort"
    static let loadBalancer = "LoadBalancer"
    static let externalName = "ExternalName"

    static let all = [clusterIP, externalName, loadBalancer, nodePort]
}

/// `spec.ipFamilyPolicy`: "represents the dual-stack-ness requested or required by this Service".
enum FamilyPolicy {
    static let singleStack = "SingleStack"
    static let preferDualStack = "PreferDualStack"
    static let requireDualStack = "RequireDualStack"

    static let all = [preferDualStack, requireDualStack, singleStack]
}

extension ServiceSpec {
    /// "Valid values are "None", empty string (""), or a valid IP address": `None` makes a Service headless.
    static let headlessMark = "None"

    /// ExternalName "specifies this Service as an alias": it has neither families nor addresses.
    var takesFamilies: Bool { type != ServiceType.externalName }

    /// A headless Service has families, but no addresses.
    var isHeadless: Bool { clusterIPs.count == 1 && clusterIPs[0] == Self.headlessMark }

    /// Nothing tells which families the endpoints of such a Service will have, so that it may have any.
    var isHeadlessWithoutSelector: Bool { isHeadless && !hasSelector }

    var takesAddresses: Bool { takesFamilies && !isHeadless }

    var takesNodePorts: Bool { type == ServiceType.nodePort || type == ServiceType.loadBalancer }
}

/// Reads an address as kube-apiserver does: IPv4 written as IPv6 (`::ffff:10.0.0.1`) is IPv4, to the parser already, and zeros may stand
/// in front of decimal fields.
func parsedAddress(_ text: String) -> IPAddress? {
    text.isEmpty ? nil : IPAddress(zeroPadded: text)
}
