import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient
import YAMLDocuments

struct Lookup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Says which pool an address is of, and who has it.")

    @OptionGroup var connection: ConnectionOptions

    @Option(name: .shortAndLong, help: "table, yaml or json.")
    var output = Format.table

    @Argument(help: "An IPv4 or IPv6 address.")
    var address: String

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table, yaml, json
    }

    func run() async throws {
        let status = try await connection.use { try await $0.call(.lookupIP, ["ip": .string(address)]) }
        switch output {
        case .table:
            let owner = status["owner"]
            let name = [owner?["namespace"]?.stringValue, owner?["name"]?.stringValue].compactMap { $0 }
            print(
                Output.table(
                    ["IP", "POOL", "STATE", "OWNER", "UID"],
                    [
                        [
                            status["ip"]?.stringValue ?? "", status["pool"]?.stringValue ?? "<none>",
                            status["state"]?.stringValue ?? "",
                            owner.map { "\($0["kind"]?.stringValue ?? "") \(name.joined(separator: "/"))" } ?? "<none>",
                            owner?["uid"]?.stringValue ?? "<none>",
                        ]
                    ]), terminator: "")
        case .yaml: print(YAMLDocuments.write(status), terminator: "")
        case .json: print(Output.json(status))
        }
    }
}
