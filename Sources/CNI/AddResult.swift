import Addressing
import TandemAPI

/// The output of ADD: the addresses of an attachment, and the configuration of every pod.
struct AddResult {
    let addresses: [IPAddress]
    let podCIDRs: [CIDR]
    let gateways: [IPAddress]
    let isReplayed: Bool

    /// From the answer to `AllocatePodIPs`; nil where that violates the contract: one address of each family at most.
    init?(_ answer: JSONValue) {
        let ips = (answer["pod"]?["status"]?["podIPs"]?.arrayValue ?? []).map { $0["ip"]?.stringValue }
        addresses = ips.compactMap { $0.flatMap { IPAddress($0) } }
        podCIDRs = (answer["node"]?["podCIDRs"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap { CIDR($0) } }
        gateways = (answer["node"]?["gateways"]?.arrayValue ?? []).compactMap {
            $0.stringValue.flatMap { IPAddress($0) }
        }
        isReplayed = answer["replayed"] == true
        let podCIDRs = podCIDRs
        guard !ips.isEmpty, addresses.count == ips.count, Set(addresses.map(\.family)).count == ips.count,
            addresses.allSatisfy({ address in podCIDRs.contains { $0.contains(address) } })
        else { return nil }
    }

    func json(_ configuration: NetworkConfiguration) -> [UInt8] {
        let version = configuration.version
        var result: JSONValue = [
            "cniVersion": .string(version.rawValue), "ips": .array(addresses.map { ip($0, version) }),
        ]
        if !configuration.ipam.routes.isEmpty {
            result["routes"] = .array(configuration.ipam.routes.map { $0.json(version) })
        }
        result["dns"] = configuration.dns
        return result.text.bytes
    }

    /// An address in the length of its node's pod CIDR, with the node's gateway in that.
    private func ip(_ address: IPAddress, _ version: CNIVersion) -> JSONValue {
        let podCIDR = podCIDRs.first { $0.contains(address) }
        var ip: JSONValue = [:]
        if version < .version100 { ip["version"] = address.family == .ipv4 ? "4" : "6" }
        ip["address"] = .string("\(address)/\(podCIDR?.prefixLength ?? address.family.addressBits)")
        if let gateway = gateways.first(where: { podCIDR?.contains($0) ?? false }) {
            ip["gateway"] = .string(gateway.description)
        }
        return ip
    }
}
