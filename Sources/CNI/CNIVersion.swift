/// The versions of the CNI specification whose configurations are read and whose results are written.
public enum CNIVersion: String, Sendable, CaseIterable, Comparable {
    case version031 = "0.3.1"
    case version040 = "0.4.0"
    case version100 = "1.0.0"
    case version110 = "1.1.0"

    public static let latest = CNIVersion.version110

    /// By age: the cases stand in that order.
    public static func < (left: CNIVersion, right: CNIVersion) -> Bool {
        allCases.firstIndex(of: left)! < allCases.firstIndex(of: right)!
    }
}
