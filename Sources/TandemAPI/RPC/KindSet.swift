/// Kinds of objects that hold addresses: of those that `Release` is to give back, or `Watch` is to tell of.
public struct KindSet: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let service = KindSet(rawValue: 1)
    public static let pod = KindSet(rawValue: 2)
    public static let attachment = KindSet(rawValue: 4)
    public static let node = KindSet(rawValue: 8)
}

extension KindSet {
    /// Of an object's kind.
    public init(_ kind: ObjectKind) {
        switch kind {
        case .service: self = .service
        case .node: self = .node
        case .pod: self = .pod
        }
    }
}
