import Addressing
import ArgumentParser
import ClientOptions
import TandemClient

struct Masquerade: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints rules with which pods reach off-cluster hosts from their node's own addresses.",
        discussion: """
            For IPv4 and IPv6. Traffic to pods and Services of this cluster, to link-local and multicast \
            addresses, and to --non-masquerade-cidrs is not masqueraded. Applying the rules again replaces the existing ones:

              tandemctl masquerade -o nft --node NODE | nft -f -
              tandemctl masquerade -o iptables --node NODE | sh
              tandemctl masquerade -o nft --delete | nft -f -
            """)

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case nft, iptables
    }

    @OptionGroup var connection: ConnectionOptions

    @Option(name: .shortAndLong, help: "nft, for nft -f; or iptables, a script for sh.")
    var output: Format

    @Option(help: "The node whose pods are masqueraded; by default those of all nodes.")
    var node: String?

    @Option(
        name: .customLong("non-masquerade-cidrs"),
        help: ArgumentHelp("More destinations that see the pod's own address.", valueName: "cidr,..."))
    var nonMasqueradeCIDRs: String?

    @Flag(
        name: .customLong("masq-link-local"), inversion: .prefixedNo,
        help: "Whether traffic to 169.254.0.0/16 is masqueraded. (default: --no-masq-link-local)")
    var masqLinkLocal: Bool?

    @Flag(
        name: .customLong("masq-link-local-ipv6"), inversion: .prefixedNo,
        help: "Whether traffic to fe80::/10 is masqueraded. (default: --no-masq-link-local-ipv6)")
    var masqLinkLocalIPv6: Bool?

    @Option(
        help: ArgumentHelp(
            "A file of these options in ip-masq-agent's format, YAML or JSON: nonMasqueradeCIDRs, masqLinkLocal, masqLinkLocalIPv6.",
            valueName: "file"))
    var config: String?

    @Flag(help: "Print the commands that remove the rules.")
    var delete = false

    func run() async throws {
        guard !delete else { return print(output.removal, terminator: "") }
        let options = try options()
        let plan = try await connection.use { client in
            let ranges = try await ClusterRanges(client)
            let all = try await ranges.podRanges(client)
            guard !all.isEmpty else {
                throw Failure(
                    status: Failure.refused,
                    "error: there are no pods to masquerade: the server was started without --cluster-cidr, and no node has a CIDR"
                )
            }
            let pods = if let node { try await ClusterRanges.podCIDRs(of: node, client) } else { all }
            return MasqueradePlan(pods: pods, inside: all + ranges.service, options)
        }
        print(output.rules(plan), terminator: "")
    }

    private func options() throws -> MasqueradeOptions {
        var options = try config.map { try MasqueradeOptions(file: $0) } ?? MasqueradeOptions()
        if let nonMasqueradeCIDRs {
            options.nonMasqueradeCIDRs = try nonMasqueradeCIDRs.split(separator: ",").map {
                try MasqueradeOptions.parse($0, "--non-masquerade-cidrs")
            }
        }
        if let masqLinkLocal { options.masqLinkLocal = masqLinkLocal }
        if let masqLinkLocalIPv6 { options.masqLinkLocalIPv6 = masqLinkLocalIPv6 }
        return options
    }
}
