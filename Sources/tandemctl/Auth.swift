import ArgumentParser
import ClientOptions
import OpenSSLTLS
import TandemAPI
import TandemClient

struct Auth: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows your user and groups as the server sees them.", subcommands: [WhoAmI.self])

    struct WhoAmI: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "whoami",
            abstract:
                "Shows your user, its groups and the methods that they allow, after the server has accepted the certificate."
        )

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var shown: TableOptions

        func run() async throws {
            let configuration = try connection.configuration()
            try await connection.use { _ = try await $0.call(.discover) }
            guard let file = configuration.identity?.certificateChainFile else {
                return try show("system:anonymous", [], nil)
            }
            let (certificate, expiry) = (PeerCertificate(inFile: file), Expiry(certificatesIn: file))
            guard let name = certificate?.commonName else {
                throw Failure(
                    status: Failure.wrongUsage,
                    "error: \(file): the certificate's subject \(certificate?.nameFault ?? "can't be read")".visible)
            }
            try show(name, certificate?.organizations ?? [], expiry?.dateText)
        }

        private func show(_ user: String, _ groups: [String], _ expiry: String?) throws {
            let abilities = Self.abilities(user, groups)
            var status: JSONValue = ["username": .string(user)]
            status["groups"] = .array(groups.map { .string($0) })
            status["may"] = .array(abilities.map { .string($0) })
            if let expiry { status["certificateExpires"] = .string(expiry) }
            if let text = try shown.format.text(of: status, named: ["user/\(user)"]) {
                return print(text, terminator: "")
            }
            var rows = [["Username", user], ["Groups", "[\(groups.joined(separator: " "))]"]]
            rows.append(["May", abilities.joined(separator: ", ")])
            if let expiry { rows.append(["Certificate expires", expiry]) }
            let lines = (shown.noHeaders ? [] : [["ATTRIBUTE", "VALUE"]]) + rows
            print(Output.lines(lines, widths: Output.widths(lines)), terminator: "")
        }

        /// The rights of groups, in the contract's words.
        private static func abilities(_ user: String, _ groups: [String]) -> [String] {
            var found = groups.compactMap { roles[$0] }
            let node = "system:node:"
            if groups.contains("system:nodes"), user.hasPrefix(node) {
                found.append("node \(user.dropFirst(node.count)) and its pods")
            }
            return found.isEmpty ? ["health checks and the description of the methods"] : found
        }

        private static let roles = [
            "system:masters": "everything", "tandem:admin": "everything", "tandem:services": "Services",
            "tandem:pods": "nodes and pods", "tandem:viewer": "look at everything",
        ]
    }
}
