import Addressing
import ClientOptions
import TandemAPI

/// The settings of ip-masq-agent's file.
struct MasqueradeOptions {
    var nonMasqueradeCIDRs: [CIDR] = []
    var masqLinkLocal = false
    var masqLinkLocalIPv6 = false

    init() {}

    /// Throws `UsageError`.
    init(file: String) throws {
        let documents = try Manifests.read(file).map(\.object)
        guard let document = documents.first else { return }
        guard documents.count == 1, let members = document.objectValue?.members else {
            throw UsageError("--config: \(file) must be one object, such as `masqLinkLocal: true`")
        }
        for (name, value) in members {
            switch name {
            case "nonMasqueradeCIDRs":
                guard let texts = value.arrayValue?.map(\.stringValue), !texts.contains(nil) else {
                    throw UsageError("--config: \(file): nonMasqueradeCIDRs must be a list of CIDRs")
                }
                nonMasqueradeCIDRs = try texts.map { try Self.parse($0 ?? "", "--config: \(file): nonMasqueradeCIDRs") }
            case "masqLinkLocal": masqLinkLocal = try Self.flag(value, name, file)
            case "masqLinkLocalIPv6": masqLinkLocalIPv6 = try Self.flag(value, name, file)
            // How often the agent looks again; here the caller of the command decides that.
            case "resyncInterval": break
            default:
                throw UsageError(
                    "--config: \(file): \(name) is not known; "
                        + "there are nonMasqueradeCIDRs, masqLinkLocal and masqLinkLocalIPv6")
            }
        }
    }

    static func parse(_ text: some StringProtocol, _ place: String) throws -> CIDR {
        do throws(CIDR.ParseError) {
            return try CIDR(parsing: text)
        } catch {
            throw UsageError("\(place): \"\(text)\": \(error)")
        }
    }

    private static func flag(_ value: JSONValue, _ name: String, _ file: String) throws -> Bool {
        guard let flag = value.boolValue else { throw UsageError("--config: \(file): \(name) must be true or false") }
        return flag
    }
}

/// The sources whose packets are masqueraded, and the destinations for which they are not.
struct MasqueradePlan {
    /// By source.
    var pods: [CIDR]
    /// By destination.
    var kept: [CIDR]

    /// `inside`: the cluster's own ranges, which are always left alone.
    init(pods: [CIDR], inside: [CIDR], _ options: MasqueradeOptions) {
        self.pods = pods
        kept = inside + options.nonMasqueradeCIDRs + Self.multicast
        if !options.masqLinkLocal { kept.append(Self.linkLocalIPv4) }
        if !options.masqLinkLocalIPv6 { kept.append(Self.linkLocalIPv6) }
    }

    /// A group's members answer to the sender that they see, and routers forward by it.
    private static let multicast = [
        CIDR(containing: IPAddress(family: .ipv4, bits: 224 << 24), prefixLength: 4),
        CIDR(containing: IPAddress(family: .ipv6, bits: 0xff << 120), prefixLength: 8),
    ]
    private static let linkLocalIPv4 = CIDR(
        containing: IPAddress(family: .ipv4, bits: 169 << 24 | 254 << 16), prefixLength: 16)
    private static let linkLocalIPv6 = CIDR(
        containing: IPAddress(family: .ipv6, bits: 0xfe80 << 112), prefixLength: 10)

    /// The part of one family; nil where there are no pods of it.
    func part(_ family: IPFamily) -> MasqueradePlan? {
        var part = self
        part.pods = pods.filter { $0.family == family }
        part.kept = kept.filter { $0.family == family }
        return part.pods.isEmpty ? nil : part
    }
}
