import KubeAPI
import Reconciliation
import TandemAPI

extension Controller {
    /// One round of looking for pods that are gone: Tandem's list first, then the cluster's, then each suspect by itself.
    func collectPods() async throws {
        let held = try await tandem.pods()
        var seen: Set<String> = []
        for pod in pods.values {
            seen.insert(pod.uid)
            if let hash = pod.configHash { seen.insert(hash) }
        }
        guard collection.needsList(held, seen: seen.contains) else { return }
        let list = try await kube.list(.livingPods)
        for suspect in collection.suspects(held, list.items.compactMap { ShownPod($0) }, now: now) {
            let key = ObjectKey.pod(suspect.namespace, suspect.name)
            guard let call = PodCollection.release(suspect, try await look(key)) else {
                collection.settle(suspect)
                continue
            }
            do {
                let answer = try await tandem.call(call.method, call.params)
                collection.settle(suspect)
                decided(Decision(call, answer, of: key, isSupposed: false))
            } catch let error as APIError {
                decided(Decision(action: "release", outcome: .refused, key: key, details: error.message))
            }
        }
    }
}
