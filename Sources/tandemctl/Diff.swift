import ArgumentParser
import ClientOptions
import Glibc
import TandemAPI
import TandemClient
import YAMLDocuments

struct Diff: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows how apply would change existing objects.",
        discussion: """
            The server decides everything and stores nothing. Differences are shown by the program that TANDEM_EXTERNAL_DIFF or \
            KUBECTL_EXTERNAL_DIFF names, else by "diff -u -N". Addresses that are drawn at random may differ from those of a later apply.

            Exit status: 0 no difference, 1 a difference, 2 wrong usage or refused by the server, 3 server not reached.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var manifests: ManifestOptions
    @OptionGroup var scope: Namespace

    func validate() throws {
        if manifests.filename.isEmpty {
            throw ValidationError("Give the manifests with -f: a file, a directory, or -.")
        }
    }

    func run() async throws {
        let read = try manifests.read(namespace: scope.name(connection))
        let pairs = try await connection.use { client in try await Self.pairs(read, client) }
        let status = try Child.withFolder { folder in
            for side in ["LIVE", "MERGED"] { mkdir("\(folder)/\(side)", 0o700) }
            for (manifest, pair) in zip(read, pairs) {
                let name = "v1.\(manifest.kind.rawValue).\(manifest.namespace).\(manifest.name)"
                try Self.write(pair.live, "\(folder)/LIVE/\(name)")
                try Self.write(pair.merged, "\(folder)/MERGED/\(name)")
            }
            return try Child.run(Self.program + ["\(folder)/LIVE", "\(folder)/MERGED"])
        }
        if status > 0 { throw ExitCode(status == 1 ? 1 : Failure.wrongUsage) }
    }

    private static var program: [String] {
        let own = ProcessEnvironment["TANDEM_EXTERNAL_DIFF"] ?? ProcessEnvironment["KUBECTL_EXTERNAL_DIFF"]
        return (own ?? "diff -u -N").split(separator: " ").map(String.init)
    }

    private static func pairs(
        _ manifests: [Manifest], _ client: TandemClient
    ) async throws -> [(live: JSONValue?, merged: JSONValue?)] {
        let batches = Batches(client: client)
        let live = try await batches.call(
            manifests.map { ($0.kind.getMethod, $0.kind.naming($0.name, in: $0.namespace)) }
        ).map { try? $0.get() }
        let merged = try await batches.call(zip(manifests, live).map { $0.trial(live: $1) })
        return try manifests.indices.map { index in
            let kind = manifests[index].kind
            do {
                return (live[index]?[kind.word], try merged[index].get()[kind.word])
            } catch {
                Output.complain("\(manifests[index].title):")
                throw Failure(status: Failure.wrongUsage, Failure(error)?.text ?? "")
            }
        }
    }

    /// Without members that differ in every version.
    private static func write(_ object: JSONValue?, _ path: String) throws {
        guard var object else { return }
        object["metadata"]?["resourceVersion"] = nil
        do throws(PlainFile.Fault) {
            try PlainFile.replace(path, with: YAMLDocuments.write(object))
        } catch {
            throw UsageError("\(path) can't be written: \(error)")
        }
    }
}

extension Manifest {
    /// The call that would apply it, and stores nothing. `live` is the stored object.
    fileprivate func trial(live: JSONValue?) -> Batches.Call {
        let method: TandemAPI.Method
        var asked = object
        switch kind {
        case .node: method = .allocateNodeCIDRs
        case .pod: method = .allocatePodIPs
        case .service:
            method = live == nil ? .allocateServiceIPs : .updateServiceIPs
            if let stored = live?[kind.word] { asked = stored.merging(object) }
        }
        return (method, [kind.word: asked, "dryRun": true])
    }
}
