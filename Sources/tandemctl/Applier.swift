import TandemAPI
import TandemClient

/// Applies manifests in batches: nodes before their pods, and an object that occurs twice once after the other.
struct Applier {
    let client: TandemClient
    let isDryRun: Bool

    typealias Outcome = (index: Int, result: Result<String?, APIError>)
    private typealias Numbered = (index: Int, manifest: Manifest)

    /// Throws `ClientError` where the server is not reached.
    func apply(_ manifests: [Manifest], told: ([Outcome]) -> Void) async throws {
        for wave in Self.waves(manifests) {
            try await Batches.forEachSlice(
                of: wave, bytes: { $0.manifest.object.text.bytes.count }, { try await apply($0) }, told: told)
        }
    }

    private static func waves(_ manifests: [Manifest]) -> [[Numbered]] {
        var waves: [[Numbered]] = []
        for isNode in [true, false] {
            var seen: [String: Int] = [:]
            let first = waves.count
            for (index, manifest) in manifests.enumerated() where (manifest.kind == .node) == isNode {
                let wave = first + seen[manifest.path, default: 0]
                seen[manifest.path, default: 0] += 1
                if wave == waves.count { waves.append([]) }
                waves[wave].append((index, manifest))
            }
        }
        return waves
    }

    private func apply(_ slice: [Numbered]) async throws -> [Outcome] {
        let services = slice.filter { $0.manifest.kind == .service }
        let others = slice.filter { $0.manifest.kind != .service }
        return try await allocate(others) + apply(services: services)
    }

    private func allocate(_ slice: [Numbered]) async throws -> [Outcome] {
        let results = try await Batches(client: client).call(
            slice.map { ($0.manifest.kind == .node ? .allocateNodeCIDRs : .allocatePodIPs, params($0.manifest)) })
        return zip(slice, results).map { numbered, result in
            let word = numbered.manifest.kind == .node ? "registered" : "created"
            return outcome(numbered, result.map { $0["replayed"] == true ? "unchanged" : word })
        }
    }

    /// Another client may change an object between the look and the write: then look again.
    private func apply(services: [Numbered]) async throws -> [Outcome] {
        var outcomes: [Outcome] = []
        var left = services
        for attempt in 1...5 where !left.isEmpty {
            let looks = try await Batches(client: client).call(
                left.map {
                    ($0.manifest.kind.getMethod, $0.manifest.kind.naming($0.manifest.name, in: $0.manifest.namespace))
                })
            var writes: [(numbered: Numbered, live: JSONValue?)] = []
            for (numbered, look) in zip(left, looks) {
                switch look {
                case .success(let answer): writes.append((numbered, answer["service"]))
                case .failure(let error) where error.status == .notFound: writes.append((numbered, nil))
                case .failure(let error): outcomes.append(outcome(numbered, .failure(error)))
                }
            }
            let results = try await Batches(client: client).call(
                writes.map { write in
                    guard let live = write.live else { return (.allocateServiceIPs, params(write.numbered.manifest)) }
                    var merged = write.numbered.manifest
                    merged.object = live.merging(merged.object)
                    return (.updateServiceIPs, params(merged))
                })
            left = []
            for (write, result) in zip(writes, results) {
                if case .failure(let error) = result, error.status == .aborted, attempt < 5 {
                    left.append(write.numbered)
                } else {
                    outcomes.append(outcome(write.numbered, result.map { Self.word($0, live: write.live) }))
                }
            }
        }
        return outcomes
    }

    private static func word(_ answer: JSONValue, live: JSONValue?) -> String {
        guard let live else { return "created" }
        let version = answer["service"]?["metadata"]?["resourceVersion"]
        return version == live["metadata"]?["resourceVersion"] ? "unchanged" : "configured"
    }

    private func outcome(_ numbered: Numbered, _ result: Result<String, APIError>) -> Outcome {
        let end = isDryRun ? " (dry run)" : ""
        return (numbered.index, result.map { "\(numbered.manifest.label) \($0)\(end)" })
    }

    private func params(_ manifest: Manifest) -> JSONValue {
        var params: JSONValue = [manifest.kind.word: manifest.object]
        if isDryRun { params["dryRun"] = true }
        return params
    }
}
