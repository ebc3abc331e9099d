public import TandemAPI

/// One look at a Pod on both sides: addresses that it shows and Tandem does not know are adopted. None is assigned here: a node's runtime asks for
/// its pods' addresses. Pods that are gone are `PodCollection`'s.
///
/// Pure.
public struct PodPass: Sendable {
    public let shown: ShownPod
    public private(set) var held: HeldPod?
    private var isAdopted = false

    public init(shown: ShownPod, held: HeldPod?) {
        self.shown = shown
        self.held = held
    }

    /// The uid by which Tandem knows the pod: of a static pod the one that its runtime was given.
    public var uid: String { shown.configHash ?? shown.uid }

    /// The call of Tandem for the addresses that it holds; nil where they do not matter.
    public var question: JSONValue? { showsItsOwn ? ["pod": ["metadata": metadata]] : nil }

    private var showsItsOwn: Bool {
        !shown.addresses.isEmpty && !shown.usesHostNetwork && !shown.isOver && !shown.nodeName.isEmpty
    }

    public func next() -> Step {
        guard showsItsOwn, !isAdopted else { return .finished(showsItsOwn ? .settled : .nothing) }
        // A runtime releases the addresses that it asked for, and the status may show those of an earlier sandbox.
        if let held, held.isAttached || shown.addresses.allSatisfy(held.addresses.contains) {
            return .finished(.settled)
        }
        var metadata = metadata
        if let hash = shown.configHash { metadata["annotations"] = ["kubernetes.io/config.hash": .string(hash)] }
        let pod: JSONValue = [
            "metadata": metadata, "spec": ["nodeName": .string(shown.nodeName)],
            "status": ["podIPs": .array(shown.addresses.map { ["ip": .string($0)] })],
        ]
        return .call(TandemCall(.adopt, .allocatePodIPs, ["pod": pod, "adopt": true]))
    }

    private var metadata: JSONValue {
        ["namespace": .string(shown.namespace), "name": .string(shown.name), "uid": .string(uid)]
    }

    public mutating func answered(_ call: TandemCall, _ result: JSONValue) {
        isAdopted = true
        if let pod = result["pod"], result["held"] != false { held = HeldPod(pod) ?? held }
    }
}
