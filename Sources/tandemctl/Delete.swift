import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Releases what a Service, a Node or a Pod holds, and forgets it.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var scope: Namespace

    @Flag(help: "For a node: release its pods too.")
    var force = false

    @Flag(help: "Succeed where there is no such object.")
    var ignoreNotFound = false

    @Argument(help: "service, node or pod.")
    var kind: Kind

    @Argument(help: "Their names.")
    var names: [String]

    func validate() throws {
        guard case .object(let kind) = kind else {
            throw ValidationError(
                "A pool goes with its range: change the servers' flags. A server goes when it is stopped.")
        }
        if force, kind != .node { throw ValidationError("--force is for nodes.") }
        if names.isEmpty { throw ValidationError("Give the name of a \(kind.word).") }
    }

    func run() async throws {
        guard case .object(let kind) = kind else { return }
        try await connection.use { client in
            for name in names { try await delete(kind, name, client) }
        }
    }

    private func delete(_ kind: ObjectKind, _ name: String, _ client: TandemClient) async throws {
        var params = kind.naming(name, in: scope.namespace)
        do {
            // A release of what is not there succeeds, but a name that was mistyped must be told.
            _ = try await client.call(kind.getMethod, params)
        } catch let error as APIError where error.status == .notFound && ignoreNotFound {
            return
        }
        if force { params["force"] = true }
        let released = try await client.call(.release, params)["released"]?.arrayValue ?? []
        let addresses = released.compactMap { $0["ip"]?.stringValue ?? $0["cidr"]?.stringValue }
        print(
            "\(kind.word) \"\(name)\" deleted"
                + (addresses.isEmpty ? "" : ": \(addresses.joined(separator: ", ")) released"))
    }
}
