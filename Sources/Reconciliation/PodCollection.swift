public import TandemAPI

/// Which of Tandem's pods are gone from the cluster.
///
/// Pods are known by uid, never by name or address. Tandem's list comes first, and the cluster's consistent one after it, so that a pod
/// that Tandem has in the first is in the second if it lives. One that was away in two of them, and for the grace time by this process's
/// own watching, is looked for once more by itself, and only then released. A record whose uid Tandem made is never taken.
///
/// Pure; the caller's clock counts. O(Tandem's pods + the cluster's) a round.
public struct PodCollection: Sendable {
    public let gracePeriod: Duration
    /// Those that were not in the cluster, with when that was seen first, and how many rounds in a row.
    private var missing: [Identity: (since: Duration, rounds: Int)] = [:]

    public struct Identity: Sendable, Hashable {
        public var namespace: String
        public var name: String
        public var uid: String
        public var nodeName: String

        public init(_ pod: HeldPod) {
            (namespace, name, uid, nodeName) = (pod.namespace, pod.name, pod.uid, pod.nodeName)
        }
    }

    public init(gracePeriod: Duration) { self.gracePeriod = gracePeriod }

    public var missingCount: Int { missing.count }

    /// In the order of their names.
    public var missingPods: [Identity] {
        missing.keys.sorted { ($0.namespace, $0.name, $0.uid) < ($1.namespace, $1.name, $1.uid) }
    }

    /// Whether any of Tandem's pods is not among those that were seen of late: only then is a consistent list worth its price.
    public func needsList(_ held: [HeldPod], seen: (_ uid: String) -> Bool) -> Bool {
        !missing.isEmpty || held.contains { !$0.isUIDMade && !seen($0.uid) }
    }

    /// One round: `held` was listed before `shown`. `now` is any clock that only goes forward. Those that are to be looked for by
    /// themselves, in Tandem's order.
    public mutating func suspects(_ held: [HeldPod], _ shown: [ShownPod], now: Duration) -> [Identity] {
        var living: Set<String> = []
        for pod in shown where !pod.isOver {
            living.insert(pod.uid)
            if let hash = pod.configHash { living.insert(hash) }
        }
        let before = missing
        missing = [:]
        var suspects: [Identity] = []
        for pod in held where !pod.isUIDMade && !living.contains(pod.uid) {
            let identity = Identity(pod)
            guard missing[identity] == nil else { continue }
            let (since, rounds) = before[identity] ?? (now, 0)
            missing[identity] = (since, rounds + 1)
            if rounds >= 1, now - since >= gracePeriod { suspects.append(identity) }
        }
        return suspects
    }

    /// The result of reading a suspect by itself: nil where it lives.
    public static func release(_ pod: Identity, _ object: JSONValue?) -> TandemCall? {
        if let shown = object.flatMap({ ShownPod($0) }), shown.isKnown(as: pod.uid), !shown.isOver { return nil }
        var released: JSONValue = [
            "metadata": [
                "namespace": .string(pod.namespace), "name": .string(pod.name), "uid": .string(pod.uid),
            ]
        ]
        if !pod.nodeName.isEmpty { released["spec"] = ["nodeName": .string(pod.nodeName)] }
        return TandemCall(.release, .release, ["pod": released])
    }

    /// A pod that was looked for lives after all, or is released: it counts anew.
    public mutating func settle(_ pod: Identity) { missing[pod] = nil }
}
