public import Reconciliation

/// The controllers to run, and their time limits.
public struct ControllerSettings: Sendable {
    /// One kind of objects that is looked after.
    public enum Part: String, Sendable, Hashable, CaseIterable {
        /// Nodes' pod CIDRs.
        case node
        /// Addresses of Services of type LoadBalancer.
        case loadbalancer
        /// Pods' addresses: those there are are taken in, those of pods that are gone released.
        case pod
    }

    public var parts: Set<Part>
    public var classes: LoadBalancerClasses
    /// For how long a pod or a node must be away, by this process's own watching, until its addresses are released.
    public var gracePeriod: Duration
    /// Objects that are looked at at a time.
    public var workers = 16
    public var firstPause = Duration.seconds(5)
    public var longestPause = Duration.seconds(300)
    /// From one look at every object to the next.
    public var resyncPeriod = Duration.seconds(600)
    /// The time between two sweeps for deleted objects.
    public var sweepPeriod: Duration

    public init(
        parts: Set<Part> = Set(Part.allCases), classes: LoadBalancerClasses = LoadBalancerClasses(),
        gracePeriod: Duration = .seconds(300)
    ) {
        self.parts = parts
        self.classes = classes
        self.gracePeriod = gracePeriod
        sweepPeriod = min(.seconds(60), max(.seconds(1), gracePeriod / 5))
    }
}
