import Addressing
import TandemAPI

/// The network configuration on standard input, as far as address management reads it.
struct NetworkConfiguration {
    let version: CNIVersion
    /// The network's name: GC is about one network's attachments.
    let name: String
    let ipam: IPAMSection
    /// `args.cni.ips` and `runtimeConfig.ips`.
    let addresses: [IPAddress]
    /// As configured, under `ipam` or beside it; `{}` for none.
    let dns: JSONValue
    /// The addresses of `prevResult`; nil where there is none.
    let previousAddresses: [IPAddress]?
    /// `cni.dev/valid-attachments`; nil where it is not given.
    let validAttachments: [Attachment]?

    /// For DEL only `ipam` is read, and of that only the way to the server.
    init(_ json: JSONValue, version: CNIVersion, for command: Invocation.Command) throws(CNIError) {
        self.version = version
        guard let section = try json.object("ipam", in: "") else {
            throw .configuration("ipam", "missing; it names the server and its certificates")
        }
        ipam = try IPAMSection(section, undoes: command == .delete)
        guard command != .delete else {
            (name, addresses, dns, previousAddresses, validAttachments) = ("", [], [:], nil, nil)
            return
        }
        name = try json.string("name", in: "") ?? ""
        let fromArgs = try json.object("args", in: "")?.object("cni", in: "args.")?.addresses("ips", in: "args.cni.")
        let fromRuntime = try json.object("runtimeConfig", in: "")?.addresses("ips", in: "runtimeConfig.")
        addresses = (fromArgs ?? []) + (fromRuntime ?? [])
        let beside = try json.object("dns", in: "")
        dns = ipam.dns ?? beside ?? [:]
        try Self.check(dns)
        previousAddresses = try json.object("prevResult", in: "").map(Self.addresses)
        validAttachments = try json.array("cni.dev/valid-attachments", in: "")?.map(Self.attachment)
    }

    /// Of `cniVersion`, which is looked at first: all else depends on it.
    static func version(of json: JSONValue) throws(CNIError) -> CNIVersion {
        let supported = CNIVersion.allCases.map(\.rawValue).joined(separator: ", ")
        guard json.objectValue != nil else { throw .init(.decodingFailure, "the configuration must be a JSON object") }
        guard let text = try json.string("cniVersion", in: "") else {
            throw .init(
                .incompatibleVersion, "cniVersion: missing, which stands for 0.1.0; give one of \(supported)")
        }
        guard let version = CNIVersion(rawValue: text) else {
            throw .init(.incompatibleVersion, "cniVersion: \"\(text)\" is not one of \(supported)")
        }
        return version
    }

    private static func check(_ dns: JSONValue) throws(CNIError) {
        _ = try dns.string("domain", in: "dns.")
        for list in ["nameservers", "search", "options"] { _ = try dns.strings(list, in: "dns.") }
    }

    private static func addresses(_ result: JSONValue) throws(CNIError) -> [IPAddress] {
        var addresses: [IPAddress] = []
        for (index, ip) in (try result.array("ips", in: "prevResult.") ?? []).enumerated() {
            let field = "prevResult.ips[\(index)]"
            guard let text = try ip.string("address", in: field + "."), let address = RequestedAddress.parse(text)
            else { throw .configuration("\(field).address", "must be an address with its prefix length") }
            addresses.append(address)
        }
        return addresses
    }

    private static func attachment(_ json: JSONValue) throws(CNIError) -> Attachment {
        let field = "cni.dev/valid-attachments[]."
        guard let containerID = try json.string("containerID", in: field),
            let ifName = try json.string("ifname", in: field)
        else { throw .configuration("cni.dev/valid-attachments", "each needs a containerID and an ifname") }
        return Attachment(containerID: containerID, ifName: ifName)
    }
}

/// Members of a configuration; a fault names the member.
extension JSONValue {
    func string(_ name: String, in path: String) throws(CNIError) -> String? {
        guard let value = self[name], value != .null, value != "" else { return nil }
        guard let text = value.stringValue else { throw .configuration(path + name, "must be a string") }
        return text
    }

    func object(_ name: String, in path: String) throws(CNIError) -> JSONValue? {
        guard let value = self[name], value != .null else { return nil }
        guard value.objectValue != nil else { throw .configuration(path + name, "must be an object") }
        return value
    }

    func array(_ name: String, in path: String) throws(CNIError) -> [JSONValue]? {
        guard let value = self[name], value != .null else { return nil }
        guard let elements = value.arrayValue else { throw .configuration(path + name, "must be an array") }
        return elements
    }

    func strings(_ name: String, in path: String) throws(CNIError) -> [String]? {
        guard let elements = try array(name, in: path) else { return nil }
        let strings = elements.compactMap(\.stringValue)
        guard strings.count == elements.count else {
            throw .configuration(path + name, "must be an array of strings")
        }
        return strings
    }

    func addresses(_ name: String, in path: String) throws(CNIError) -> [IPAddress]? {
        var addresses: [IPAddress] = []
        for text in try strings(name, in: path) ?? [] {
            guard let address = RequestedAddress.parse(text) else {
                throw .configuration(path + name, RequestedAddress.fault(text))
            }
            addresses.append(address)
        }
        return addresses
    }
}
