public import TandemAPI

/// One look at an object on both sides: `next` returns the next step, given the result of the last one, until it is finished.
public protocol Pass: Sendable {
    func next() -> Step
    /// The cluster's answer to `look` or `patch`; nil where there is no such object.
    mutating func saw(_ object: JSONValue?, isPatched: Bool)
    /// Tandem's answer to a call.
    mutating func answered(_ call: TandemCall, _ result: JSONValue)
    /// Tandem's refusal of a call; true where there is another way on.
    mutating func refused(_ call: TandemCall, _ error: APIError) -> Bool
    /// The object is in the cluster, as far as is known.
    var isShown: Bool { get }
    /// The addresses that the object has in Tandem, shows in the cluster or asks for by itself: no other object is given them.
    var certain: [String] { get }
}

extension NodePass: Pass {
    public func refused(_ call: TandemCall, _ error: APIError) -> Bool { false }
    public var isShown: Bool { shown != nil }
    public var certain: [String] { (shown?.podCIDRs ?? []) + (held?.podCIDRs ?? []) }
}

extension LoadBalancerPass: Pass {
    public var isShown: Bool { shown != nil }
    public var certain: [String] { (shown.map { $0.addresses + $0.asked } ?? []) + (held?.addresses ?? []) }
}

extension PodPass: Pass {
    public func saw(_ object: JSONValue?, isPatched: Bool) {}
    public func refused(_ call: TandemCall, _ error: APIError) -> Bool { false }
    public var isShown: Bool { true }
    public var certain: [String] { shown.addresses + (held?.addresses ?? []) }
}
