import Addressing
import IPAM
import Logging
import OpenSSLTLS

/// Reads single settings; a fault names the setting and a correct value.
struct SettingsReader {
    private let values: [String: String]

    init(_ settings: Settings) {
        values = settings.values.filter { !$0.value.isEmpty }
    }

    func required(_ name: String, _ hint: String) throws(ConfigurationFault) -> String {
        guard let value = values[name] else { throw ConfigurationFault(name, "missing: give \(hint)") }
        return value
    }

    func integer(
        _ name: String, default fallback: Int, in range: ClosedRange<Int>
    ) throws(ConfigurationFault) -> Int {
        guard let text = values[name] else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw ConfigurationFault(
                name, "\"\(text)\" is not a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func boolean(_ name: String, default fallback: Bool) throws(ConfigurationFault) -> Bool {
        switch values[name] {
        case nil: return fallback
        case "true": return true
        case "false": return false
        case let text?: throw ConfigurationFault(name, "\"\(text)\" is neither true nor false")
        }
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, default fallback: Choice
    ) throws(ConfigurationFault) -> Choice where Choice.RawValue == String {
        guard let text = values[name] else { return fallback }
        guard let choice = Choice(rawValue: text) else {
            let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConfigurationFault(name, "\"\(text)\" is not one of \(choices)")
        }
        return choice
    }

    func logLevel() throws(ConfigurationFault) -> Logger.Level {
        try choice("log-level", default: .info)
    }

    /// With which an audit log is kept where a path is given.
    static let defaultAudit = AuditSettings(
        path: "", maximumBytes: 100 << 20, backups: 10, policy: .changes)

    func audit() throws(ConfigurationFault) -> AuditSettings? {
        let megabytes = try integer("audit-log-maxsize", default: Self.defaultAudit.maximumBytes >> 20, in: 1...100_000)
        let backups = try integer("audit-log-maxbackup", default: Self.defaultAudit.backups, in: 0...1000)
        let policy: AuditSettings.Policy = try choice("audit-policy", default: Self.defaultAudit.policy)
        return values["audit-log-path"].map {
            .init(path: $0, maximumBytes: megabytes << 20, backups: backups, policy: policy)
        }
    }

    func quotas() throws(ConfigurationFault) -> Quotas {
        var quotas = Quotas()
        if values["max-pods-per-node"] != nil {
            quotas.podsPerNode = try integer("max-pods-per-node", default: 0, in: 1...Quotas.maximumPodsPerNode)
        }
        quotas.objectBytes = try integer(
            "max-object-bytes", default: quotas.objectBytes, in: 1_024...Quotas.maximumObjectBytes)
        quotas.servicesPerNamespace = try integer("max-objects-per-namespace", default: 0, in: 0...10_000_000)
        return quotas
    }

    /// nil for as much as the container or the machine leaves.
    func memoryLimit() throws(ConfigurationFault) -> Int? {
        let name = "memory-limit"
        guard values[name] != nil else { return nil }
        let limit = try integer(name, default: 0, in: 0...(1 << 50))
        guard limit == 0 || limit >= 64 << 20 else {
            throw ConfigurationFault(
                name, "\(limit) bytes are less than a server needs: give at least \(64 << 20), or 0 for no limit")
        }
        return limit
    }

    func address(_ name: String, default fallback: String) throws(ConfigurationFault) -> IPAddress {
        let text = values[name] ?? fallback
        guard let address = IPAddress(text) else {
            throw ConfigurationFault(name, "\"\(text)\" is not an IP address such as 127.0.0.1 or ::1")
        }
        return address
    }

    // MARK: Ranges

    func cluster() throws(ConfigurationFault) -> ClusterConfiguration {
        let clusterCIDRs = try ranges("cluster-cidr")
        var cluster = ClusterConfiguration(
            serviceRanges: try ranges("service-cluster-ip-range"), clusterCIDRs: clusterCIDRs,
            loadBalancerRanges: try loadBalancerRanges(), loadBalancerClass: values["load-balancer-class"],
            servesUnclassedLoadBalancers: try boolean("load-balancer-default", default: true),
            nodePortRange: try nodePortRange())
        cluster.nodeMaskSizeIPv4 = try integer("node-cidr-mask-size-ipv4", default: 24, in: 1...32)
        cluster.nodeMaskSizeIPv6 = try integer("node-cidr-mask-size-ipv6", default: 64, in: 1...128)
        cluster.podIPReuseDelaySeconds = try integer("pod-ip-reuse-delay", default: 60, in: 0...86_400)
        cluster.autoRegisterNodes = try boolean("auto-register-nodes", default: true)
        if values["node-cidr-mask-size"] != nil { try applySingleStackMask(to: &cluster) }
        if let fault = cluster.faults.first { throw fault }
        return cluster
    }

    /// `--node-cidr-mask-size` goes with one family, as kube-controller-manager has it.
    private func applySingleStackMask(to cluster: inout ClusterConfiguration) throws(ConfigurationFault) {
        let name = "node-cidr-mask-size"
        guard cluster.podFamilies.count == 1 else {
            throw ConfigurationFault(
                name,
                "goes with a --cluster-cidr of one family; "
                    + "give --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6")
        }
        let mask = try integer(name, default: 24, in: 1...128)
        switch cluster.podFamilies[0] {
        case .ipv4: cluster.nodeMaskSizeIPv4 = mask
        case .ipv6: cluster.nodeMaskSizeIPv6 = mask
        }
    }

    private func ranges(_ name: String) throws(ConfigurationFault) -> [CIDR] {
        guard let text = values[name] else { return [] }
        var ranges: [CIDR] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            do throws(CIDR.ParseError) {
                ranges.append(try CIDR(parsing: part))
            } catch {
                throw ConfigurationFault(name, "\"\(part)\": \(error)")
            }
        }
        return ranges
    }

    private func loadBalancerRanges() throws(ConfigurationFault) -> [AddressRange] {
        let name = "load-balancer-ip-range"
        guard let text = values[name] else { return [] }
        var ranges: [AddressRange] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            if let range = AddressRange(part) {
                ranges.append(range)
                continue
            }
            do throws(CIDR.ParseError) {
                _ = try CIDR(parsing: part)
            } catch {
                let hint =
                    part.contains("-") ? "the ends are two addresses of one family, the lower one first" : "\(error)"
                throw ConfigurationFault(
                    name,
                    "\"\(part)\": \(hint); a range is a CIDR or first-last, such as 192.0.2.0/28 or 192.0.2.10-192.0.2.99"
                )
            }
        }
        return ranges
    }

    /// As kube-apiserver reads it: `30000-32767`, or `30000+2767`, or one port.
    private func nodePortRange() throws(ConfigurationFault) -> ClosedRange<UInt16>? {
        let name = "service-node-port-range"
        guard let text = values[name] else { return nil }
        let parts = text.split(omittingEmptySubsequences: false) { $0 == "-" || $0 == "+" }
        let numbers = parts.compactMap { part in part.utf8.allSatisfy { (48...57).contains($0) } ? Int(part) : nil }
        guard (1...2).contains(parts.count), numbers.count == parts.count else {
            throw ConfigurationFault(name, "\"\(text)\" is no range of ports such as 30000-32767")
        }
        let first = numbers[0]
        let last = text.contains("+") ? first &+ numbers[1] : numbers[numbers.count - 1]
        guard (1...65_535).contains(first), (1...65_535).contains(last) else {
            throw ConfigurationFault(name, "\"\(text)\" does not lie in 1 to 65535")
        }
        guard first <= last else { throw ConfigurationFault(name, "\"\(text)\" ends before it begins") }
        return UInt16(first)...UInt16(last)
    }

    // MARK: TLS

    func tls(
        _ clientAuthentication: ClientAuthentication
    ) throws(ConfigurationFault) -> TLSServerConfiguration {
        let certificate = try required("tls-cert-file", "the server's certificate chain, a PEM file")
        let key = try required("tls-private-key-file", "the private key of the server's certificate, a PEM file")
        let clientCA: String? =
            switch clientAuthentication {
            case .required:
                try required(
                    "client-ca-file", "the CA that signs client certificates, a PEM file (or --client-auth=none)")
            case .none: values["client-ca-file"]
            }
        if values["client-crl-file"] != nil, clientCA == nil {
            throw ConfigurationFault("client-crl-file", "goes with --client-ca-file, whose certificates it revokes")
        }
        let version: TLSVersion
        switch values["tls-min-version"] {
        case nil, "VersionTLS13": version = .tls13
        case "VersionTLS12": version = .tls12
        case let text?:
            throw ConfigurationFault("tls-min-version", "\"\(text)\" is neither VersionTLS12 nor VersionTLS13")
        }
        return TLSServerConfiguration(
            identity: TLSIdentity(certificateChainFile: certificate, privateKeyFile: key), clientCAFile: clientCA,
            clientCRLFile: values["client-crl-file"],
            minimumVersion: version,
            cipherSuites: (values["tls-cipher-suites"] ?? "").split(separator: ",").map(String.init),
            applicationProtocols: ApplicationProtocol.allCases.map(\.rawValue))
    }
}
