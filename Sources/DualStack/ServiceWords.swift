import Addressing
import TandemAPI

extension ServiceSpec {
    /// "Valid values are "None", empty string (""), or a valid IP address": `None` makes a Service headless.
    static let headlessMark: StaticString = "None"

    /// ExternalName "specifies this Service as an alias": it has neither families nor addresses.
    @inline(__always)
    var takesFamilies: Bool { type != .externalName }

    /// A headless Service has families, but no addresses.
    @inline(__always)
    var isHeadless: Bool { clusterIPs.isOnly(Self.headlessMark) }

    /// Nothing tells which families the endpoints of such a Service will have, so that it may have any.
    @inline(__always)
    var isHeadlessWithoutSelector: Bool { isHeadless && !hasSelector }

    @inline(__always)
    var takesAddresses: Bool { takesFamilies && !isHeadless }

    @inline(__always)
    var takesNodePorts: Bool { type == .nodePort || type == .loadBalancer }
}

/// Reads an address as kube-apiserver does: IPv4 written as IPv6 (`::ffff:10.0.0.1`) is IPv4, to the parser already, and zeros may stand
/// in front of decimal fields.
func parsedAddress(_ text: Written<IPAddress>) -> IPAddress? {
    switch text {
    case .value(let address): address
    case .other(let text): parsedAddress(text)
    }
}

func parsedCIDR(_ text: Written<CIDR>) throws(CIDR.ParseError) -> CIDR {
    switch text {
    case .value(let cidr): cidr
    case .other(let text): try CIDR(parsingZeroPadded: text)
    }
}

func parsedAddress(_ text: String) -> IPAddress? {
    text.isEmpty ? nil : IPAddress(zeroPadded: text)
}
