public import KubeAPI
public import Logging
import Reconciliation
import TandemAPI

extension Controller {
    /// The first steps that a controller would take, one sentence each: every object gets one turn, in the order of a leader. Tandem
    /// decides and keeps nothing; nothing is written in the cluster. New addresses are named by their range alone, as two objects may be
    /// answered with the same address.
    ///
    /// Throws where the cluster's lists or Tandem's can't be read.
    public static func dryRun(
        _ settings: ControllerSettings, kube: KubeClient, tandem: TandemLink, logger: Logger,
        _ told: @escaping @Sendable (String) -> Void
    ) async throws {
        let controller = Controller(
            settings, kube: kube, tandem: tandem, metrics: ControllerMetrics(), logger: logger, told: told)
        try await controller.suppose(told)
    }

    private func suppose(_ told: @Sendable (String) -> Void) async throws {
        for part in ControllerSettings.Part.allCases where settings.parts.contains(part) {
            replaced(part, try await kube.list(Self.collection(part)).items)
        }
        var pools: [JSONValue] = []
        if settings.parts.contains(.node) { pools += try await tandem.pools(.nodeCIDR) }
        if settings.parts.contains(.loadbalancer) { pools += try await tandem.pools(.loadBalancer) }
        prospect = Prospect(pools: pools)
        if settings.parts.contains(.node) {
            for (name, _) in try await tandem.nodes() where nodes[name] == nil { gone(.node(name)) }
        }
        if settings.parts.contains(.loadbalancer) {
            for (namespace, name) in try await tandem.managedServices() {
                let key = ObjectKey.service(namespace, name)
                if services[key].map({ settings.classes.serve($0) }) != true {
                    queue.add(key, rank: ObjectKey.lastRank)
                }
            }
        }
        var failure: String?
        while let key = queue.take(now: .zero) {
            let outcome = await work(key, givesNothing: false)
            if case .failed(isHolding: true) = outcome.queue { failure = failure ?? "\(key.kind) \(key)" }
            queue.finish(key, .done, rank: ObjectKey.lastRank, now: .zero)
        }
        if settings.parts.contains(.pod) {
            let held = try await tandem.pods()
            let list = try await kube.list(.livingPods)
            _ = collection.suspects(held, list.items.compactMap { ShownPod($0) }, now: .zero)
            for pod in collection.missingPods {
                told(
                    "would release pod/\(pod.namespace)/\(pod.name) after its grace time: uid \(pod.uid) is not in the cluster"
                )
            }
        }
        if let failure { throw DryRunFault(description: "not everything could be looked at: \(failure)") }
    }
}

/// A dry run that did not see everything.
public struct DryRunFault: Error, CustomStringConvertible {
    public let description: String
}
