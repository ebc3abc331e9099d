public import Addressing

/// The words that a member of an object may have, as Kubernetes spells them.
public protocol Vocabulary: CanonicalText, CaseIterable {
    var spelling: StaticString { get }
}

extension Vocabulary {
    /// O(words).
    public init?(canonical text: UnsafeRawBufferPointer) {
        for word in Self.allCases where word.spelling.bytes.hasSameBytes(as: text) {
            self = word
            return
        }
        return nil
    }

    public func withText(_ body: (UnsafeRawBufferPointer) -> Void) { body(spelling.bytes) }

    /// All words, as they are spelled.
    public static var words: [String] { allCases.map(\.spelling.description) }
}

extension IPFamily: Vocabulary {
    public var spelling: StaticString { self == .ipv4 ? "IPv4" : "IPv6" }
}

/// `spec.type` of a Service: "determines how the Service is exposed. Defaults to ClusterIP."
public enum ServiceType: Vocabulary {
    case clusterIP, externalName, loadBalancer, nodePort

    public var spelling: StaticString {
        switch self {
        case .clusterIP: "ClusterIP"
        case .externalName: "ExternalName"
        case .loadBalancer: "LoadBalancer"
        case .nodePort: "NodePort"
        }
    }
}

/// `spec.ipFamilyPolicy` of a Service: "represents the dual-stack-ness requested or required by this Service".
public enum FamilyPolicy: Vocabulary {
    case preferDualStack, requireDualStack, singleStack

    public var spelling: StaticString {
        switch self {
        case .preferDualStack: "PreferDualStack"
        case .requireDualStack: "RequireDualStack"
        case .singleStack: "SingleStack"
        }
    }
}

extension Written where Value == ServiceType {
    public static var clusterIP: Self { .value(.clusterIP) }
    public static var externalName: Self { .value(.externalName) }
    public static var loadBalancer: Self { .value(.loadBalancer) }
    public static var nodePort: Self { .value(.nodePort) }
}

extension Written where Value == FamilyPolicy {
    public static var preferDualStack: Self { .value(.preferDualStack) }
    public static var requireDualStack: Self { .value(.requireDualStack) }
    public static var singleStack: Self { .value(.singleStack) }
}
