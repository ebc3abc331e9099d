import Addressing
import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Lookup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the pool and the owner of an address, or the allocated addresses of a CIDR.")

    @OptionGroup var connection: ConnectionOptions

    @OptionGroup var shown: TableOptions

    @Argument(help: "An IPv4 or IPv6 address, or a CIDR.")
    var address: String

    func validate() throws {
        guard IPAddress(address) != nil || CIDR(address) != nil else {
            throw ValidationError(
                "\(address) is no IPv4 or IPv6 address, and no CIDR: such as 10.244.0.2 or fd00:10:244::/64.")
        }
    }

    func run() async throws {
        guard IPAddress(address) != nil else { return try await listHolders() }
        let status = try await connection.use { try await $0.call(.lookupIP, ["ip": .string(address)]) }
        let name = "ip/\(status["ip"]?.stringValue ?? address)"
        let text = try shown.format.text(of: status, named: [name]) ?? shown.table(columns, [status])
        print(text, terminator: "")
    }

    private func listHolders() async throws {
        let found = try await connection.use { try await $0.holders(of: address) }
        let names = found.compactMap { $0["ip"]?.stringValue }.map { "ip/\($0)" }
        if let text = try shown.format.text(of: ["items": .array(found)], named: names) {
            print(text, terminator: "")
        } else if found.isEmpty {
            Output.complain("No address of \(address) is held.")
        } else {
            print(shown.table(columns, found), terminator: "")
        }
    }

    private var columns: [Column] {
        if case .customColumns(let columns) = shown.format { return columns }
        return [
            Column(title: "IP") { $0["ip"]?.stringValue ?? "" },
            Column(title: "POOL") { $0["pool"]?.stringValue ?? "<none>" },
            Column(title: "STATE") { $0["state"]?.stringValue ?? "" },
            Column(title: "OWNER") { status in
                guard let owner = status["owner"] else { return "<none>" }
                let name = [owner["namespace"], owner["name"]].compactMap { $0?.stringValue }
                return "\(owner["kind"]?.stringValue ?? "") \(name.joined(separator: "/"))"
            },
            Column(title: "UID") { $0["owner"]?["uid"]?.stringValue ?? "<none>" },
        ]
    }
}
