import Addressing
import EtcdClient
import EtcdLog
import IPAM
import TandemAPI

extension SettingsReader {
    private enum Kind: String, CaseIterable { case sqlite, etcd }

    /// `address` is the address by which clients reach this server.
    func storage(
        _ cluster: ClusterConfiguration, address: String
    ) throws(ConfigurationFault) -> StorageChoice {
        let servers = text("etcd-servers")
        switch try choice("storage", default: servers == nil ? Kind.sqlite : .etcd) {
        case .sqlite:
            if let flag = Settings.names.filter({ $0.hasPrefix("etcd-") && text($0) != nil }).min() {
                throw ConfigurationFault(flag, "goes with --storage=etcd, not with --storage=sqlite")
            }
            return .sqlite(
                directory: try required(
                    "data-dir", "the directory that holds tandem.db; it is made if need be; or --etcd-servers"))
        case .etcd:
            if text("data-dir") != nil {
                throw ConfigurationFault("data-dir", "is of no use with --storage=etcd: everything is in etcd")
            }
            let servers = try required(
                "etcd-servers", "the members' URLs, such as https://etcd-0:2379,https://etcd-1:2379")
            return .etcd(try etcd(servers, cluster, address))
        }
    }

    private func etcd(
        _ servers: String, _ cluster: ClusterConfiguration, _ address: String
    ) throws(ConfigurationFault) -> EtcdLog.Settings {
        let client: EtcdConfiguration
        do throws(EtcdConfigurationError) {
            client = try EtcdConfiguration(
                servers: servers, caFile: text("etcd-cafile"), certificateFile: text("etcd-certfile"),
                keyFile: text("etcd-keyfile"), username: text("etcd-username"),
                passwordFile: text("etcd-password-file"))
        } catch {
            throw ConfigurationFault(String(error.flag.description.dropFirst(2)), error.message)
        }
        let prefix = text("etcd-prefix") ?? "/tandem"
        guard prefix.hasPrefix("/"), prefix.utf8.count > 1, !prefix.hasSuffix("/") else {
            throw ConfigurationFault("etcd-prefix", "\"\(prefix)\" does not begin with a slash, or ends with one")
        }
        var settings = EtcdLog.Settings(
            client, prefix: prefix, shared: cluster.sharedFlags, address: address, program: OpenRPC.version)
        settings.acceptsConfiguration = try boolean("etcd-accept-configuration", default: false)
        settings.compactionSeconds = try seconds("etcd-compaction-interval", in: 0...86_400)
        settings.healthSeconds = try seconds("etcd-healthcheck-timeout", in: 1...60) ?? settings.healthSeconds
        settings.quotaBytes = Int64(
            try integer("etcd-quota-backend-bytes", default: 2 << 30, in: 64 << 20...1 << 40))
        return settings
    }

    private func text(_ name: String) -> String? { try? required(name, "") }

    /// A duration as Go's programs write it, such as 5m0s, in whole seconds; nil where the flag is not given.
    private func seconds(_ name: String, in range: ClosedRange<Int>) throws(ConfigurationFault) -> Int? {
        guard let text = text(name) else { return nil }
        guard let seconds = Self.seconds(text), range.contains(seconds) else {
            throw ConfigurationFault(
                name,
                "\"\(text)\" is no duration such as 5m0s or 30s, of \(range.lowerBound) to \(range.upperBound) seconds")
        }
        return seconds
    }

    static func seconds(_ text: String) -> Int? {
        if text == "0" { return 0 }
        var (total, number) = (0, "")
        for character in text {
            if character.isASCII, character.isNumber, number.count < 9 {
                number.append(character)
                continue
            }
            guard let factor = ["h": 3600, "m": 60, "s": 1][character], let count = Int(number) else { return nil }
            total += count * factor
            number = ""
        }
        return number.isEmpty && !text.isEmpty ? total : nil
    }
}

extension ClusterConfiguration {
    /// The settings that all servers of one log must share, in a normal form.
    var sharedFlags: [String: String] {
        func text(_ ranges: [some CustomStringConvertible]) -> String {
            ranges.map(\.description).joined(separator: ",")
        }
        var flags = [
            "service-cluster-ip-range": text(serviceRanges), "cluster-cidr": text(clusterCIDRs),
            "load-balancer-ip-range": text(loadBalancerRanges), "node-cidr-mask-size-ipv4": "\(nodeMaskSizeIPv4)",
            "node-cidr-mask-size-ipv6": "\(nodeMaskSizeIPv6)", "pod-ip-reuse-delay": "\(podIPReuseDelaySeconds)",
            "auto-register-nodes": "\(autoRegisterNodes)",
            "service-node-port-range": nodePortRange.map { "\($0.lowerBound)-\($0.upperBound)" } ?? "",
        ]
        // A value stored before these flags existed lacks them.
        if let loadBalancerClass { flags["load-balancer-class"] = loadBalancerClass }
        if !servesUnclassedLoadBalancers { flags["load-balancer-default"] = "false" }
        return flags
    }
}
