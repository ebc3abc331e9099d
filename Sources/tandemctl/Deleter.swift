import TandemAPI
import TandemClient

/// Deletes objects in batches: pods before their nodes.
struct Deleter {
    let client: TandemClient
    /// For nodes: their pods too.
    let isForced: Bool
    /// Whether it is well that an object is not there.
    let isForgiving: Bool
    let isDryRun: Bool

    /// Throws `ClientError` where the server is not reached.
    func delete(_ objects: [Manifest], told: ([Applier.Outcome]) -> Void) async throws {
        let numbered = objects.enumerated().map { (index: $0, manifest: $1) }
        for isNode in [false, true] {
            try await Batches.forEachSlice(
                of: numbered.filter { ($0.manifest.kind == .node) == isNode }, bytes: { _ in 0 },
                { try await delete($0) }, told: told)
        }
    }

    private func delete(_ slice: [(index: Int, manifest: Manifest)]) async throws -> [Applier.Outcome] {
        let batches = Batches(client: client)
        let params = slice.map { $0.manifest.kind.naming($0.manifest.name, in: $0.manifest.namespace) }
        // A release of a missing object succeeds, but a mistyped name must be reported.
        let looks = try await batches.call(zip(slice, params).map { ($0.manifest.kind.getMethod, $1) })
        var outcomes: [Applier.Outcome] = []
        var found: [Int] = []
        for (place, look) in looks.enumerated() {
            switch look {
            case .success: found.append(place)
            case .failure(let error) where error.status == .notFound && isForgiving:
                outcomes.append((slice[place].index, .success(nil)))
            case .failure(let error): outcomes.append((slice[place].index, .failure(error)))
            }
        }
        let releases = try await batches.call(
            found.map { place in
                var params = params[place]
                if isForced, slice[place].manifest.kind == .node { params["force"] = true }
                if isDryRun { params["dryRun"] = true }
                return (.release, params)
            })
        for (place, release) in zip(found, releases) {
            outcomes.append((slice[place].index, release.map { line(slice[place].manifest, $0) }))
        }
        return outcomes
    }

    private func line(_ manifest: Manifest, _ answer: JSONValue) -> String {
        let addresses = (answer["released"]?.arrayValue ?? []).compactMap {
            $0["ip"]?.stringValue ?? $0["cidr"]?.stringValue
        }
        return "\(manifest.kind.word) \"\(manifest.name)\" deleted\(isDryRun ? " (dry run)" : "")"
            + (addresses.isEmpty ? "" : ": \(addresses.joined(separator: ", ")) released")
    }
}
