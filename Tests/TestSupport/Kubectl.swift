import Foundation

/// `kubectl`, by which tests build and apply the manifests.
public enum Kubectl {
    public static let program = Command.find("kubectl")

    /// Why the manifests can't be built by it; nil where they can.
    public static let obstacle = obstacle(
        toVersion: program.map { Command.run($0, ["version", "--client", "-o", "json"]).output })

    /// `version` is the output of `kubectl version --client -o json`; nil where there is no kubectl.
    public static func obstacle(toVersion version: String?) -> String? {
        guard let version else { return "kubectl is missing; docker/deps.sh --tests fetches one" }
        let json = try? JSONSerialization.jsonObject(with: Data(version.utf8)) as? [String: Any]
        let client = json?["clientVersion"] as? [String: Any]
        func number(_ name: String) -> Int? {
            // Some are marked by those that built them: "32+".
            (client?[name] as? String).flatMap { Int($0.prefix(while: \.isNumber)) }
        }
        guard let major = number("major"), let minor = number("minor") else {
            return "kubectl does not say its version"
        }
        guard (major, minor) < (1, 21) else { return nil }
        return "kubectl \(major).\(minor) is too old for -k: its kustomize takes no folder of resources; 1.21 does"
    }
}
