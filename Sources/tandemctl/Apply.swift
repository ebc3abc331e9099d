import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Allocates for manifests, or merges them into what is there.",
        discussion: """
            Services are created, or the manifest is merged into the live object, which is then updated; Nodes are \
            registered; Pods get their addresses.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A file of manifests, YAML or JSON; - for standard input.", valueName: "file|-"))
    var filename: [String]

    @Option(name: .shortAndLong, help: "The namespace of objects that name none.")
    var namespace = "default"

    @Flag(help: "Decide and check everything, keep nothing.")
    var dryRun = false

    func run() async throws {
        let documents = try filename.flatMap(Manifests.read)
        guard !documents.isEmpty else { throw UsageError("-f: no objects in \(filename.joined(separator: ", "))") }
        let objects = try documents.map { try Manifest($0, namespace: namespace) }
        try await connection.use { client in
            var firstError: (any Error)?
            // Each succeeds or fails alone, as with kubectl.
            for object in objects {
                do {
                    let outcome = try await apply(object, client)
                    print("\(object.kind.word)/\(object.name) \(outcome)\(dryRun ? " (dry run)" : "")")
                } catch let error as APIError {
                    if objects.count > 1 { Output.complain("\(object.kind.word)/\(object.name):") }
                    if let failure = Failure(error), objects.count > 1 { Output.complain(failure.text) }
                    firstError = firstError ?? error
                }
            }
            guard let firstError else { return }
            if objects.count > 1 { throw Failure(status: Failure.refused, "error: not all objects could be applied") }
            throw firstError
        }
    }

    private func apply(_ manifest: Manifest, _ client: TandemClient) async throws -> String {
        switch manifest.kind {
        case .service: try await applyService(manifest, client)
        case .node: try await allocate(manifest, .allocateNodeCIDRs, client)
        case .pod: try await allocate(manifest, .allocatePodIPs, client)
        }
    }

    private func allocate(
        _ manifest: Manifest, _ method: TandemAPI.Method, _ client: TandemClient
    ) async throws -> String {
        let result = try await client.call(method, params(manifest.kind, manifest.object))
        return result["replayed"] == true ? "unchanged" : manifest.kind == .node ? "registered" : "created"
    }

    /// Somebody else may change the object between the look and the write: then look again.
    private func applyService(_ manifest: Manifest, _ client: TandemClient) async throws -> String {
        var attempt = 1
        while true {
            do {
                guard let live = try await live(manifest, client) else {
                    _ = try await client.call(.allocateServiceIPs, params(.service, manifest.object))
                    return "created"
                }
                let merged = live.merging(manifest.object)
                let result = try await client.call(.updateServiceIPs, params(.service, merged))
                let version = result["service"]?["metadata"]?["resourceVersion"]
                return version == live["metadata"]?["resourceVersion"] ? "unchanged" : "configured"
            } catch let error as APIError where error.status == .aborted && attempt < 5 {
                attempt += 1
            }
        }
    }

    private func live(_ manifest: Manifest, _ client: TandemClient) async throws -> JSONValue? {
        do {
            let params = manifest.kind.naming(manifest.name, in: manifest.namespace)
            return try await client.call(manifest.kind.getMethod, params)[manifest.kind.word]
        } catch let error as APIError where error.status == .notFound {
            return nil
        }
    }

    private func params(_ kind: ObjectKind, _ object: JSONValue) -> JSONValue {
        var params: JSONValue = [kind.word: object]
        if dryRun { params["dryRun"] = true }
        return params
    }
}

/// One object of a file.
private struct Manifest {
    var kind: ObjectKind
    var namespace: String
    var name: String
    var object: JSONValue

    init(_ document: JSONValue, namespace: String) throws {
        let word = document["kind"]?.stringValue ?? ""
        guard let kind = ObjectKind(rawValue: word) else {
            throw UsageError(
                word.isEmpty
                    ? "-f: an object without a kind; write kind: Service, Node or Pod"
                    : "-f: kind \(word) has no addresses to be allocated; Service, Node and Pod have")
        }
        guard let name = document["metadata"]?["name"]?.stringValue, !name.isEmpty else {
            throw UsageError("-f: a \(word) without a metadata.name")
        }
        var object = document
        let own = document["metadata"]?["namespace"]?.stringValue ?? ""
        self.namespace = own.isEmpty ? namespace : own
        if kind.isNamespaced { object["metadata"]?["namespace"] = .string(self.namespace) }
        self.kind = kind
        self.name = name
        self.object = object
    }
}
