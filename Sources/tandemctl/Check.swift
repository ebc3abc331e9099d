import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Compares the stored objects, the pools and single addresses with one another, or all with a cluster.",
        discussion: """
            With -f it compares the stored objects with those of a cluster, as "kubectl get services,nodes,pods -A -o json" \
            prints them. Exit status 1 and a line for each difference where they do not agree.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var manifests: ManifestOptions

    func run() async throws {
        guard !manifests.filename.isEmpty else { return try await checkBooks() }
        let objects = try manifests.read(namespace: "default").map(\.object)
        let comparison = try await connection.use { try await ClusterComparison.run($0, with: objects) }
        try fail(comparison.differences)
        print("ok: \(comparison.objects) objects of the cluster, and the addresses held for them here, agree")
    }

    private func checkBooks() async throws {
        let check = try await connection.use { try await ConsistencyCheck.run($0) }
        try fail(check.faults)
        print("ok: \(check.addresses) addresses, each with one owner; pools and objects agree")
    }

    private func fail(_ faults: [String]) throws {
        guard !faults.isEmpty else { return }
        throw Failure(status: Failure.refused, faults.map { "fault: \($0.visible)" }.joined(separator: "\n"))
    }
}
