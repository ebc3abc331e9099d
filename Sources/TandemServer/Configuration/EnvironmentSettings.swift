extension Settings {
    /// The settings of the environment's variables: `TANDEM_` and the flag's name in capitals, with `_` for `-`.
    ///
    /// The environment is shared with other programs, so that a variable which is like none of ours is theirs; one that is
    /// nearly ours is kept, to be refused with the others that no flag has.
    public init(environment: [String: String]) {
        var values: [String: String] = [:]
        for (variable, value) in environment {
            guard variable.hasPrefix(Self.prefix), !Self.isForeign(variable) else { continue }
            let name = variable.dropFirst(Self.prefix.count).lowercased().replacing("_", with: "-")
            if Self.names.contains(name) || Self.near(name) != nil { values[name] = value }
        }
        self.init(values)
    }

    /// The variable of a flag.
    public static func variable(_ name: String) -> String { prefix + name.uppercased().replacing("-", with: "_") }

    private static let prefix = "TANDEM_"

    /// `tandemctl`'s, and those that Kubernetes sets in every pod beside a Service named "tandem".
    private static func isForeign(_ variable: String) -> Bool {
        ["TANDEM_SERVER", "TANDEM_CA_FILE", "TANDEM_CERT_FILE", "TANDEM_KEY_FILE", "TANDEM_CONFIG"].contains(variable)
            || ["TANDEM_SERVICE_HOST", "TANDEM_SERVICE_PORT", "TANDEM_PORT"].contains {
                variable == $0 || variable.hasPrefix($0 + "_")
            }
    }
}
