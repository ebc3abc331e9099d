import TandemAPI
import TandemClient

/// The very end of a run: its objects are released.
struct Removal {
    private let plan: LoadPlan

    /// Calls of one batch.
    private static let batch = 500

    init(_ plan: LoadPlan) { self.plan = plan }

    /// Returns how many objects went. Throws `APIError` or `ClientError`.
    func run() async throws -> Int {
        let client = try await TandemClient.connect(plan.target)
        do {
            var count = 0
            if plan.workload != .pods { count += try await removeAll(.listServices, "service", client) }
            if plan.workload == .pods { count += try await removeAll(.listPods, "pod", client) }
            if plan.workload == .pods, plan.node == nil {
                let nodes = (0..<plan.nodes).map { JSONValue.string(plan.nodeName($0)) }
                count += try await release(nodes.map { ["node": ["metadata": ["name": $0]]] }, client)
            }
            await client.close()
            return count
        } catch {
            await client.close()
            throw error
        }
    }

    /// A page at a time from the beginning, until nothing is left.
    private func removeAll(_ list: Method, _ member: String, _ client: TandemClient) async throws -> Int {
        var params: JSONValue = ["namespace": .string(plan.namespace), "limit": .number(String(Self.batch))]
        if let node = plan.node { params["nodeName"] = .string(node) }
        var count = 0
        while true {
            let page = try await client.call(list, params)
            let objects = page["items"]?.arrayValue ?? []
            let released = try await release(
                objects.map { object in
                    var metadata: JSONValue = [:]
                    for name in ["namespace", "name", "uid"] { metadata[name] = object["metadata"]?[name] }
                    var wanted: JSONValue = ["metadata": metadata]
                    if member == "pod", let node = object["spec"]?["nodeName"] { wanted["spec"] = ["nodeName": node] }
                    var release: JSONValue = [:]
                    release[member] = wanted
                    return release
                }, client)
            count += released
            // Pages of a list that is long may be empty and have more behind them.
            if objects.isEmpty, page["continue"] == nil { return count }
            params["continue"] = objects.isEmpty ? page["continue"] : nil
        }
    }

    private func release(_ calls: [JSONValue], _ client: TandemClient) async throws -> Int {
        var count = 0
        for start in stride(from: 0, to: calls.count, by: Self.batch) {
            let part = calls[start..<min(start + Self.batch, calls.count)]
            for answer in try await client.batch(part.map { (Method.release, $0) }) {
                count += try answer.get()["released"]?.arrayValue?.isEmpty == false ? 1 : 0
            }
        }
        return count
    }
}
