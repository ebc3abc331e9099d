import ServerSupport
import TandemAPI
import TestSupport

/// The real `tandem-cni`, as a container runtime runs it.
struct PluginProcess {
    var port: Int
    /// A certificate of `certs/generate.sh`.
    var role = "node-n1"
    var version = "1.0.0"
    var network = "pods"
    /// Members of `ipam` beside the usual ones.
    var ipam: JSONValue = ["timeoutMs": 20_000]
    /// Members of the configuration beside the usual ones.
    var others: JSONValue = [:]

    struct Answer {
        var status: Int32
        /// Standard output; nil where it is empty.
        var json: JSONValue?
        var text: String

        var addresses: [String] { (json?["ips"]?.arrayValue ?? []).compactMap { $0["address"]?.stringValue } }
        var code: Int? { json?["code"]?.intValue }
        var message: String { json?["msg"]?.stringValue ?? "" }
    }

    var configuration: JSONValue {
        let certificates = Certificates.shared
        let section: JSONValue = [
            "type": "tandem-cni", "server": .string("127.0.0.1:\(port)"), "caFile": .string(certificates.ca),
            "certFile": .string(certificates.certificate(role)), "keyFile": .string(certificates.key(role)),
        ]
        let whole: JSONValue = [
            "cniVersion": .string(version), "name": .string(network), "type": "bridge",
            "ipam": section.merging(ipam),
        ]
        return whole.merging(others)
    }

    static func environment(_ command: String, _ container: String, arguments: String = "") -> [String] {
        [
            "CNI_COMMAND=\(command)", "CNI_CONTAINERID=\(container)", "CNI_IFNAME=eth0", "CNI_NETNS=/proc/self/ns/net",
            "CNI_PATH=/opt/cni/bin", "CNI_ARGS=\(arguments)",
        ]
    }

    func callAsFunction(
        _ command: String, _ container: String = "c1", arguments: String = "", processorSeconds: Int? = nil
    ) -> Answer {
        let result = Command.run(
            "env", Self.environment(command, container, arguments: arguments) + [Self.program],
            input: configuration.text.description, processorSeconds: processorSeconds)
        return Answer(
            status: result.status, json: try? JSONValue(parsing: result.output), text: result.output + result.errors)
    }

    static let program = ServerProcess.program("tandem-cni")
}
