import ArgumentParser
import TandemAPI

/// The treatment of members unknown to Kubernetes: `--validate` of kubectl, with its spellings.
enum Validation: ExpressibleByArgument {
    case strict, warn, ignore

    init?(argument: String) {
        switch argument {
        case "strict", "true": self = .strict
        case "warn": self = .warn
        case "ignore", "false": self = .ignore
        default: return nil
        }
    }

    static let allValueStrings = ["strict", "warn", "ignore"]

    var defaultValueDescription: String { self == .strict ? "strict" : self == .warn ? "warn" : "ignore" }

    /// The indices of those that go on; the others are `refused`.
    func check(_ manifests: [Manifest], refused: (Int, APIError) -> Void) -> [Int] {
        manifests.indices.filter { index in
            let faults = self == .ignore ? [] : KnownMembers.unknown(in: manifests[index]).map(\.description)
            guard !faults.isEmpty else { return true }
            if self == .strict {
                refused(
                    index,
                    APIError(
                        .invalidArgument, reason: "BadRequest",
                        "strict decoding error: \(faults.joined(separator: ", "))"))
                return false
            }
            for fault in faults { Output.complain("Warning: \(manifests[index].title): \(fault)") }
            return true
        }
    }
}

/// The members of Kubernetes' objects, as far as they lie where addresses are asked for.
enum KnownMembers {
    struct Unknown: CustomStringConvertible {
        var path: String
        var near: String?

        var description: String {
            "unknown field \"\(path.cut(toBytes: 256))\"" + (near.map { ", did you mean \"\($0)\"?" } ?? "")
        }
    }

    static func unknown(in manifest: Manifest) -> [Unknown] {
        let object = manifest.object
        var unknown = members(of: object, in: "", top) + members(of: object["metadata"], in: "metadata.", metadata)
        switch manifest.kind {
        case .service:
            unknown += members(of: object["spec"], in: "spec.", service)
            for (index, port) in (object["spec"]?["ports"]?.arrayValue ?? []).enumerated() {
                unknown += members(of: port, in: "spec.ports[\(index)].", servicePort)
            }
        case .node: unknown += members(of: object["spec"], in: "spec.", node)
        case .pod: unknown += members(of: object["spec"], in: "spec.", pod)
        }
        return unknown
    }

    private static func members(of value: JSONValue?, in path: String, _ known: Set<String>) -> [Unknown] {
        (value?.objectValue?.members ?? []).map(\.name).filter { !known.contains($0.cut(toBytes: 128)) }.map { name in
            Unknown(path: path + name, near: name.nearest(of: known))
        }
    }

    private static func names(_ text: String) -> Set<String> { Set(text.split(separator: " ").map(String.init)) }

    private static let top = names("apiVersion kind metadata spec status")
    private static let metadata = names(
        """
        annotations clusterName creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName \
        generation initializers labels managedFields name namespace ownerReferences resourceVersion selfLink uid
        """)
    private static let service = names(
        """
        allocateLoadBalancerNodePorts clusterIP clusterIPs externalIPs externalName externalTrafficPolicy \
        healthCheckNodePort internalTrafficPolicy ipFamilies ipFamily ipFamilyPolicy loadBalancerClass loadBalancerIP \
        loadBalancerSourceRanges ports publishNotReadyAddresses selector sessionAffinity sessionAffinityConfig \
        topologyKeys trafficDistribution type
        """)
    private static let servicePort = names("appProtocol name nodePort port protocol targetPort")
    private static let node = names("configSource externalID podCIDR podCIDRs providerID taints unschedulable")
    private static let pod = names(
        """
        activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy enableServiceLinks \
        ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride imagePullSecrets \
        initContainers nodeName nodeSelector os overhead preemptionPolicy priority priorityClassName readinessGates \
        resourceClaims resources restartPolicy runtimeClassName schedulerName schedulingGates securityContext \
        serviceAccount serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain \
        terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes workloadRef
        """)
}
