import TandemAPI
import TandemClient

/// The end of a run: reads everything back, and compares it with the acknowledged answers.
struct Verification {
    private let plan: LoadPlan

    init(_ plan: LoadPlan) {
        self.plan = plan
    }

    /// No address may have two owners, and everything acknowledged must be there with the addresses that were answered.
    func faults(held: [String: [UInt8]], unsettled: Set<String>) async throws -> [String] {
        let client = try await TandemClient.connect(plan.target)
        var faults: [String] = []
        var owners: [String: String] = [:]
        var stored: [String: [UInt8]] = [:]
        for method in plan.node == nil ? [Method.listServices, .listPods] : [.listPods] {
            for object in try await client.list(method, nodeName: plan.node) {
                let metadata = object["metadata"]
                let name = "\(metadata?["namespace"]?.stringValue ?? "")/\(metadata?["name"]?.stringValue ?? "")"
                let addresses = object["spec"]?["clusterIPs"] ?? object["status"]?["podIPs"]
                for address in addresses?.arrayValue ?? [] {
                    guard let ip = address.stringValue ?? address["ip"]?.stringValue, ip != "None" else { continue }
                    let owner = "\(method == .listPods ? "Pod" : "Service") \(name)"
                    if let other = owners.updateValue(owner, forKey: ip) {
                        faults.append("\(ip) has two owners: \(other) and \(owner)")
                    }
                }
                if metadata?["namespace"]?.stringValue == plan.namespace {
                    stored[metadata?["name"]?.stringValue ?? ""] = addresses?.text.bytes ?? []
                }
            }
        }
        await client.close()
        for (name, addresses) in held where stored[name] != addresses {
            let found = stored[name].map { String(decoding: $0, as: UTF8.self) } ?? "nothing"
            faults.append(
                "\(name) was acknowledged with \(String(decoding: addresses, as: UTF8.self)), and \(found) is stored")
        }
        for name in stored.keys where held[name] == nil && !unsettled.contains(name) {
            faults.append("\(name) was released, and is stored")
        }
        return faults
    }
}
