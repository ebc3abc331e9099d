import ArgumentParser
import ClientOptions
import ClusterController
import Foundation
import KubeAPI
import LineLogs
import Logging
import Reconciliation
import TandemAPI

struct ClusterOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The cluster's address and credentials. (default: the pod's service account)", valueName: "file"),
        completion: .file())
    var kubeconfig: String?

    @Option(
        help: ArgumentHelp(
            "Whether one of several processes leads, by a Lease: true or false. (default: true)", valueName: "bool"),
        completion: .list(["true", "false"]), transform: OptionValue.truth)
    var leaderElect: Bool?

    @Option(
        help: ArgumentHelp(
            "The namespace of the Lease tandem-controller. (default: that of the pod or of the kubeconfig's context)",
            valueName: "name"))
    var leaderElectResourceNamespace: String?

    /// Throws `UsageError`. Blocks.
    func configuration() throws -> KubeConfiguration {
        do throws(KubeConfigurationError) {
            if let kubeconfig { return try .kubeconfig(kubeconfig) }
            return try .inCluster(ProcessInfo.processInfo.environment)
        } catch {
            throw UsageError("\(kubeconfig == nil ? "no --kubeconfig, and " : "--kubeconfig: ")\(error.message)")
        }
    }
}

struct WorkOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The controllers to run: node, loadbalancer, pod, separated by commas. (default: all three)",
            valueName: "list"))
    var controllers: String?

    @Option(
        help: ArgumentHelp(
            "The spec.loadBalancerClass of the Services that are served, as tandemd has it. (default: none)",
            valueName: "name"))
    var loadBalancerClass: String?

    @Option(
        help: ArgumentHelp(
            "Whether Services without a class are served, as tandemd has it: true or false. (default: true)",
            valueName: "bool"), completion: .list(["true", "false"]), transform: OptionValue.truth)
    var loadBalancerDefault: Bool?

    @Option(
        help: ArgumentHelp(
            "Seconds from the deletion of a pod or node to the release of its addresses. (default: 300)",
            valueName: "seconds"),
        transform: OptionValue.wholeNumber)
    var releaseGracePeriod: Int?

    @Flag(help: "Print the first steps that would be taken, and exit: nothing is changed on either side.")
    var dryRun = false

    /// Throws `UsageError`.
    func settings() throws -> ControllerSettings {
        let gracePeriod = releaseGracePeriod ?? 300
        guard (0...86_400).contains(gracePeriod) else {
            throw UsageError("--release-grace-period must be from 0 to 86400 seconds")
        }
        if let name = loadBalancerClass, name.isEmpty || name.contains(where: \.isWhitespace) {
            throw UsageError("--load-balancer-class must be a name such as example.com/tandem")
        }
        return ControllerSettings(
            parts: try parts(), classes: classes, gracePeriod: .seconds(gracePeriod))
    }

    var classes: LoadBalancerClasses {
        LoadBalancerClasses(className: loadBalancerClass, servesUnclassed: loadBalancerDefault ?? true)
    }

    private func parts() throws -> Set<ControllerSettings.Part> {
        guard let controllers else { return Set(ControllerSettings.Part.allCases) }
        let names = ControllerSettings.Part.allCases.map(\.rawValue)
        var parts: Set<ControllerSettings.Part> = []
        for word in controllers.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
            guard let part = ControllerSettings.Part(rawValue: word) else {
                let near = word.nearest(of: names).map { "; did you mean \($0)?" } ?? ""
                throw UsageError("--controllers: \"\(word)\" is none of \(names.joined(separator: ", "))\(near)")
            }
            parts.insert(part)
        }
        return parts
    }
}

struct RunningOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The address of /metrics and /healthz, over plain HTTP: 127.0.0.1:8444, or :8444 for all addresses. (default: nowhere)",
            valueName: "host:port"))
    var metricsBindAddress: String?

    /// nil for nowhere. Throws `UsageError`.
    func metricsAddress() throws -> (host: String, port: Int)? {
        guard let text = metricsBindAddress, text != "0", text != "" else { return nil }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw UsageError("--metrics-bind-address must be a host and a port, such as 127.0.0.1:8444")
        }
        let host = text[..<colon].trimmingPrefix("[")
        return (host.isEmpty ? "::" : String(host.last == "]" ? host.dropLast() : host), Int(port))
    }
}

struct LogOptions: ParsableArguments {
    @Option(
        help: "trace, debug, info, notice, warning, error or critical. (default: info)",
        completion: .list(["trace", "debug", "info", "notice", "warning", "error", "critical"]))
    var logLevel: String?

    @Option(help: "text or json. (default: text)", completion: .list(["text", "json"]))
    var logFormat: String?

    /// Throws `UsageError`.
    func format() throws -> LogFormat {
        guard let format = LogFormat(rawValue: logFormat ?? "text") else {
            throw UsageError("--log-format must be text or json")
        }
        return format
    }

    func logger() throws -> Logger {
        guard let level = Logger.Level(rawValue: logLevel ?? "info") else {
            throw UsageError("--log-level must be trace, debug, info, notice, warning, error or critical")
        }
        return Logs.logger("tandem-controller", try format(), level)
    }
}
