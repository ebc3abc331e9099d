import Addressing
import ArgumentParser
import ClientOptions
import TandemAPI
import TandemClient

struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Adopts the objects of a running cluster with their addresses.",
        discussion: """
            Reads what "kubectl get services,nodes,pods -A -o json" prints. Each object keeps the addresses that it shows, or is refused \
            with a reason; none gets another address. Another import adopts new objects and changes nothing else. Objects without an \
            address, pods in the host's network and finished pods hold nothing here. Exit status 1 where an object was refused; the adopted \
            ones stay.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var manifests: ManifestOptions

    @OptionGroup var dryRun: DryRunOption

    @Flag(help: "Adopt pod CIDRs outside of the server's --cluster-cidr as well.")
    var outOfRange = false

    func validate() throws {
        if manifests.filename.isEmpty {
            throw ValidationError("Give the cluster's objects with -f: a file, a directory, or -.")
        }
    }

    func run() async throws {
        let objects = try manifests.read(namespace: "default")
        var outcomes = Outcomes(objects)
        defer { outcomes.stop() }
        var summary = Summary()
        try await connection.use { client in
            let adopter = Adopter(client: client, isDryRun: dryRun.isGiven, allowsOutOfRange: outOfRange)
            try await adopter.adopt(objects) { results in
                outcomes.note(
                    results.map { index, result in (index, result.map { adopted in objects[index].line(adopted) }) })
                for result in results { summary.count(result.result) }
            }
        }
        print("\(summary)\(dryRun.isGiven ? " (dry run)" : "")")
        try outcomes.finish("taken in")
    }

    private struct Summary: CustomStringConvertible {
        private var counts: [Adopter.End: Int] = [:]
        private var refused = 0

        mutating func count(_ result: Result<Adopter.Adopted, APIError>) {
            switch result {
            case .success(let adopted): counts[adopted.end, default: 0] += 1
            case .failure: refused += 1
            }
        }

        var description: String {
            let parts = Adopter.End.allCases.map { "\(counts[$0] ?? 0) \($0.rawValue)" }
            return (parts + ["\(refused) refused"]).joined(separator: ", ")
        }
    }
}

extension Manifest {
    /// Unchanged objects and those without addresses are not printed.
    fileprivate func line(_ adopted: Adopter.Adopted) -> String? {
        adopted.kept.isEmpty
            ? nil : "\(path) keeps \(adopted.kept.joined(separator: ", ")), which it does not show"
    }
}

/// Takes objects in in batches, each by itself: the nodes before the pods on them.
struct Adopter {
    enum End: String, CaseIterable {
        case adopted = "taken in"
        case unchanged = "unchanged"
        case holdsNothing = "without addresses"
    }

    struct Adopted {
        var end: End
        /// Addresses that it holds and does not show.
        var kept: [String]
    }

    typealias Outcome = (index: Int, result: Result<Adopted, APIError>)

    let client: TandemClient
    let isDryRun: Bool
    let allowsOutOfRange: Bool

    /// Throws `ClientError` where the server is not reached.
    func adopt(_ objects: [Manifest], told: ([Outcome]) -> Void) async throws {
        // Nodes that a dry run would have adopted: the server does not know them when it judges the pods.
        var podCIDRs: [String: [CIDR]] = [:]
        for isNode in [true, false] {
            let wave = objects.indices.filter { (objects[$0].kind == .node) == isNode }
            let calls = wave.map { (index: $0, call: call(objects[$0])) }
            try await Batches.forEachSlice(
                of: calls, bytes: { $0.call.params.text.bytes.count },
                { slice in
                    let results = try await Batches(client: client).call(slice.map(\.call))
                    return zip(slice, results).map { ($0.index, $1.map(Adopted.init)) }
                },
                told: { outcomes in
                    guard isDryRun else { return told(outcomes) }
                    for (index, result) in outcomes where isNode && (try? result.get()) != nil {
                        podCIDRs[objects[index].name] = objects[index].podCIDRs
                    }
                    told(outcomes.map { index, result in (index, result.supposing(podCIDRs, of: objects[index])) })
                })
        }
    }

    private func call(_ object: Manifest) -> Batches.Call {
        var params: JSONValue = [object.kind.word: object.shown, "adopt": true]
        if isDryRun { params["dryRun"] = true }
        let method: TandemAPI.Method
        switch object.kind {
        case .service: method = .allocateServiceIPs
        case .pod: method = .allocatePodIPs
        case .node:
            method = .allocateNodeCIDRs
            if allowsOutOfRange { params["outOfRange"] = true }
        }
        return (method, params)
    }
}

extension Adopter.Adopted {
    fileprivate init(_ answer: JSONValue) {
        end = answer["held"] == false ? .holdsNothing : answer["replayed"] == true ? .unchanged : .adopted
        kept = (answer["kept"]?.arrayValue ?? []).compactMap(\.stringValue)
    }
}

extension Result<Adopter.Adopted, APIError> {
    /// In a dry run a pod is judged by the nodes that would be there by then.
    fileprivate func supposing(_ podCIDRs: [String: [CIDR]], of pod: Manifest) -> Self {
        guard case .failure(let error) = self, error.reason == "NodeNotRegistered", pod.kind == .pod,
            let cidrs = podCIDRs[pod.object["spec"]?["nodeName"]?.stringValue ?? ""],
            pod.podIPs.allSatisfy({ address in cidrs.contains { $0.contains(address) } })
        else { return self }
        return .success(Adopter.Adopted(end: .adopted, kept: []))
    }
}

extension Manifest {
    fileprivate var podCIDRs: [CIDR] {
        let list = object["spec"]?["podCIDRs"]?.arrayValue ?? [object["spec"]?["podCIDR"]].compactMap { $0 }
        return list.compactMap { $0.stringValue.flatMap { CIDR($0) } }
    }

    fileprivate var podIPs: [IPAddress] {
        let list = object["status"]?["podIPs"]?.arrayValue ?? [["ip": object["status"]?["podIP"] ?? .null]]
        return list.compactMap { $0["ip"]?.stringValue.flatMap { IPAddress(zeroPadded: $0) } }
    }

    /// The object without members that the server ignores: a node lists its images, and a pod its containers.
    fileprivate var shown: JSONValue {
        var shown = object
        shown["metadata"]?["managedFields"] = nil
        let kept: (spec: [String], status: [String])
        switch kind {
        case .service: return shown
        case .node: kept = (["podCIDR", "podCIDRs"], [])
        case .pod: kept = (["nodeName", "hostNetwork"], ["phase", "podIP", "podIPs"])
        }
        shown["spec"] = object["spec"]?.only(kept.spec)
        shown["status"] = object["status"]?.only(kept.status)
        return shown
    }
}

extension JSONValue {
    /// Of its members those of these names.
    fileprivate func only(_ names: [String]) -> JSONValue {
        var members = JSONObject()
        for name in names { members[name] = self[name] }
        return .object(members)
    }
}
