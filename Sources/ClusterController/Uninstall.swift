public import KubeAPI
public import Reconciliation
import TandemAPI

/// Leaves a cluster's Services without this controller, as they are: the finalizer goes, the addresses stay, and one that is being deleted
/// goes at last.
public struct Uninstall: Sendable {
    public let classes: LoadBalancerClasses
    public let kube: KubeClient
    public let tandem: TandemLink
    public let isDryRun: Bool

    public init(classes: LoadBalancerClasses, kube: KubeClient, tandem: TandemLink, isDryRun: Bool = false) {
        self.classes = classes
        self.kube = kube
        self.tandem = tandem
        self.isDryRun = isDryRun
    }

    /// The number of changed Services; `told` has a sentence for each. Throws `KubeError`, `APIError` or `ClientError`; finished changes
    /// stay, and another run goes on behind them.
    @discardableResult
    public func run(_ told: (String) -> Void) async throws -> Int {
        var count = 0
        for object in try await kube.list(.services).items {
            guard let shown = ShownService(object), shown.finalizers.contains(LoadBalancerPass.finalizer),
                try await takeOff(shown)
            else { continue }
            count += 1
            told("service/\(shown.namespace)/\(shown.name) \(isDryRun ? "would be" : "is") without finalizer")
        }
        return count
    }

    /// False where the finalizer is not this controller's.
    private func takeOff(_ seen: ShownService) async throws -> Bool {
        let name = KubeObjectName.service(seen.namespace, seen.name)
        var shown = seen
        for _ in 0..<Self.attempts {
            let held = try await tandem.service(shown.namespace, shown.name)
            guard let patch = LoadBalancerPass.withoutFinalizer(shown, held, classes) else { return false }
            if isDryRun { return true }
            if shown.isDeleting, let held, held.uid == shown.uid { try await release(shown) }
            if try await write(name, patch) { return true }
            guard let next = try await look(name) else { return false }
            shown = next
        }
        throw KubeError(.conflict, "\(name) changes all the time")
    }

    /// Tries, where others write at the same time.
    private static let attempts = 10

    private func release(_ shown: ShownService) async throws {
        let metadata: JSONValue = [
            "namespace": .string(shown.namespace), "name": .string(shown.name), "uid": .string(shown.uid),
        ]
        _ = try await tandem.call(.release, ["service": ["metadata": metadata]])
    }

    /// False where it is another version or another object by now.
    private func write(_ name: KubeObjectName, _ patch: JSONValue) async throws(KubeError) -> Bool {
        do throws(KubeError) {
            try await kube.patch(name, .status, patch)
            return true
        } catch  where [.conflict, .invalid, .notFound].contains(error.code) {
            return false
        }
    }

    private func look(_ name: KubeObjectName) async throws(KubeError) -> ShownService? {
        do throws(KubeError) {
            return ShownService(try await kube.get(name))
        } catch  where error.code == .notFound {
            return nil
        }
    }
}
