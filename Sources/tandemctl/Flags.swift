import Addressing
import ArgumentParser
import ClientOptions
import TandemClient

struct Flags: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the flags with which Kubernetes' components agree with this server's ranges.",
        discussion: """
            For kube-apiserver, kube-controller-manager and kube-proxy; with a component's name its flags only, one a line.

            kube-proxy takes one CIDR a family: where --cluster-cidr has more, use --node to print the flags of each node's \
            kube-proxy.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "For kube-proxy: the pod CIDRs of this node instead of the cluster's.")
    var node: String?

    @Argument(help: "kube-apiserver, kube-controller-manager or kube-proxy; all of them without.")
    var component: Component?

    enum Component: String, CaseIterable, ExpressibleByArgument {
        case apiServer = "kube-apiserver"
        case controllerManager = "kube-controller-manager"
        case proxy = "kube-proxy"
    }

    func run() async throws {
        let (ranges, podCIDRs) = try await connection.use { client in
            let podCIDRs: [CIDR]? =
                if let node { try await ClusterRanges.podCIDRs(of: node, client) } else { nil }
            return (try await ClusterRanges(client), podCIDRs)
        }
        guard let component else {
            for component in Component.allCases {
                print(component.rawValue)
                for flag in try flags(of: component, ranges, podCIDRs) { print("    \(flag)") }
            }
            return
        }
        for flag in try flags(of: component, ranges, podCIDRs) { print(flag) }
    }

    private func flags(of component: Component, _ ranges: ClusterRanges, _ podCIDRs: [CIDR]?) throws -> [String] {
        let services = "--service-cluster-ip-range=\(ranges.service.list)"
        switch component {
        case .apiServer: return [services] + (ranges.nodePorts.map { ["--service-node-port-range=\($0)"] } ?? [])
        case .controllerManager:
            // This server hands out the nodes' pod CIDRs; two that do would give one out twice.
            guard !ranges.cluster.isEmpty else { return [services] }
            let masks = ranges.nodeMaskSizes.sorted { $0.key.rawValue < $1.key.rawValue }.map { family, size in
                "--node-cidr-mask-size-\(family == .ipv4 ? "ipv4" : "ipv6")=\(size)"
            }
            return ["--allocate-node-cidrs=false", "--cluster-cidr=\(ranges.cluster.list)", services] + masks
        case .proxy:
            let ranges = podCIDRs ?? ranges.cluster
            guard !ranges.isEmpty else { return [] }
            guard Set(ranges.map(\.family)).count == ranges.count else {
                throw Failure(
                    status: Failure.wrongUsage,
                    "error: kube-proxy takes one CIDR a family, and the cluster has \(ranges.list); "
                        + "give --node, and each node's kube-proxy its own")
            }
            return ["--cluster-cidr=\(ranges.list)"]
        }
    }
}

extension [CIDR] {
    fileprivate var list: String { map(\.description).joined(separator: ",") }
}
