import KubeAPI
import Logging
import Reconciliation
import TandemAPI

/// The last event of an object: the same is not repeated for a while.
struct SaidEvent: Sendable {
    var uid: String
    var reason: String
    var message: String
    var at: Duration
}

extension Controller {
    /// Events are kept for an hour by default.
    private static let repeatPeriod = Duration.seconds(1800)

    /// Addresses that came back.
    func report(_ call: TandemCall, _ answer: JSONValue, of key: ObjectKey, uid: String?) async {
        guard case .service = key, call.purpose == .release || call.purpose == .vacate else { return }
        let released = (answer["released"]?.arrayValue ?? []).compactMap { $0.stringValue ?? $0["ip"]?.stringValue }
        guard !released.isEmpty else { return }
        await say(key, uid, .normal, "AddressesReleased", "Tandem took back \(released.joined(separator: ", "))")
    }

    /// Addresses that the cluster shows now.
    func reportAddresses(of object: JSONValue, _ key: ObjectKey, before patch: JSONValue) async {
        let ips = (patch["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
        guard !ips.isEmpty else { return }
        await say(
            key, object["metadata"]?["uid"]?.stringValue, .normal, "AddressesAllocated",
            "Tandem gave \(ips.joined(separator: ", "))")
    }

    static let ungivenText =
        "Tandem has no load-balancer range of its families, or serves another class: see tandemd's --load-balancer-ip-range and --load-balancer-class"

    func reportUngiven(_ key: ObjectKey, _ uid: String?) async {
        await say(key, uid, .warning, "AddressesRefused", Self.ungivenText)
    }

    /// Why an object has no addresses.
    func report(_ error: APIError, of key: ObjectKey, uid: String?) async {
        let reason: String
        if error.reason == "RangeFull" {
            reason = "RangeFull"
        } else if error.status == .invalidArgument {
            let isAddress = error.causes.contains {
                $0.field.contains("ingress") || $0.field.contains("loadBalancerIP") || $0.field.contains("podCIDRs")
                    || $0.field.contains("annotations") || $0.field.contains("podIPs")
            }
            reason = isAddress ? "AddressTaken" : "AddressesRefused"
        } else {
            reason = "AddressesRefused"
        }
        await say(key, uid, .warning, reason, error.message)
    }

    private func say(
        _ key: ObjectKey, _ uid: String?, _ severity: KubeEvent.Severity, _ reason: String, _ message: String
    ) async {
        // Of pods nothing is written in the cluster.
        guard let uid, key.part != .pod else { return }
        if let last = lastEvents[key], last.uid == uid, last.reason == reason, last.message == message,
            now - last.at < Self.repeatPeriod
        {
            return
        }
        lastEvents[key] = SaidEvent(uid: uid, reason: reason, message: message, at: now)
        var metadata: JSONValue = ["name": .string(key.name.name), "uid": .string(uid)]
        if let namespace = key.name.namespace { metadata["namespace"] = .string(namespace) }
        let event = KubeEvent(about: ["metadata": metadata], kind: key.kind, severity, reason: reason, message)
        do {
            try await kube.report(event)
        } catch {
            // Said once more the next time.
            lastEvents[key] = nil
            logger.debug("event not written", metadata: ["name": "\(key)", "error": "\(error)"])
        }
    }
}
