/// One call of each method and its answer, in an order in which they can be made: each stands on those before.
///
/// They are true for a server with `--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112` and
/// `--cluster-cidr=10.244.0.0/16,fd00:10:244::/48` that holds nothing yet. Answers have further members.
extension Method {
    /// `params` and `result`, JSON.
    var exampleTexts: (params: String, result: String) {
        switch self {
        case .allocateServiceIPs:
            (
                """
                {"service": {"metadata": {"namespace": "shop", "name": "web"}, "spec": {
                "ipFamilyPolicy": "PreferDualStack", "clusterIP": "10.96.0.10",
                "clusterIPs": ["10.96.0.10", "fd00:10:96::10"]}}}
                """,
                """
                {"service": {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web",
                "resourceVersion": "1"}, "spec": {"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack",
                "ipFamilies": ["IPv4", "IPv6"], "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10", "fd00:10:96::10"]}}}
                """
            )
        case .updateServiceIPs:
            (
                """
                {"service": {"metadata": {"namespace": "shop", "name": "web", "resourceVersion": "1"},
                "spec": {"ipFamilyPolicy": "SingleStack"}}}
                """,
                """
                {"service": {"metadata": {"namespace": "shop", "name": "web", "resourceVersion": "2"},
                "spec": {"type": "ClusterIP", "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"],
                "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"]}}, "released": ["fd00:10:96::10"]}
                """
            )
        case .getService:
            (
                #"{"service": {"metadata": {"namespace": "shop", "name": "web"}}}"#,
                """
                {"service": {"metadata": {"namespace": "shop", "name": "web", "resourceVersion": "2"},
                "spec": {"clusterIPs": ["10.96.0.10"]}}}
                """
            )
        case .listServices:
            (
                #"{"namespace": "shop", "limit": 100}"#,
                #"{"items": [{"metadata": {"namespace": "shop", "name": "web"}, "spec": {"clusterIPs": ["10.96.0.10"]}}]}"#
            )
        case .allocateNodeCIDRs:
            (
                #"{"node": {"metadata": {"name": "n1"}}}"#,
                """
                {"node": {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"podCIDR": "10.244.0.0/24",
                "podCIDRs": ["10.244.0.0/24", "fd00:10:244::/64"]}}}
                """
            )
        case .getNode:
            (
                #"{"node": {"metadata": {"name": "n1"}}}"#,
                #"{"node": {"metadata": {"name": "n1"}, "spec": {"podCIDRs": ["10.244.0.0/24", "fd00:10:244::/64"]}}}"#
            )
        case .listNodes: (#"{}"#, #"{"items": [{"metadata": {"name": "n1"}}]}"#)
        case .allocatePodIPs:
            (
                """
                {"pod": {"metadata": {"namespace": "shop", "name": "web-1"}, "spec": {"nodeName": "n1"}},
                "attachment": {"containerID": "c0ffee", "ifName": "eth0"}}
                """,
                """
                {"pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web-1"},
                "spec": {"nodeName": "n1"}, "status": {"podIP": "10.244.0.2",
                "podIPs": [{"ip": "10.244.0.2"}, {"ip": "fd00:10:244::2"}]}}, "node": {"name": "n1",
                "podCIDRs": ["10.244.0.0/24", "fd00:10:244::/64"], "gateways": ["10.244.0.1", "fd00:10:244::1"]}}
                """
            )
        case .getPod:
            (
                #"{"pod": {"metadata": {"namespace": "shop", "name": "web-1"}}}"#,
                #"{"pod": {"metadata": {"name": "web-1"}, "status": {"podIPs": [{"ip": "10.244.0.2"}, {"ip": "fd00:10:244::2"}]}}}"#
            )
        case .listPods:
            (#"{"nodeName": "n1"}"#, #"{"items": [{"metadata": {"name": "web-1"}, "spec": {"nodeName": "n1"}}]}"#)
        case .release:
            (
                #"{"attachment": {"containerID": "c0ffee", "ifName": "eth0"}}"#,
                """
                {"released": [{"ip": "10.244.0.2", "owner": {"kind": "Pod", "namespace": "shop", "name": "web-1"}},
                {"ip": "fd00:10:244::2", "owner": {"kind": "Pod", "namespace": "shop", "name": "web-1"}}]}
                """
            )
        case .checkNode:
            (
                #"{"node": {"metadata": {"name": "n1"}}}"#,
                """
                {"ready": true, "families": [{"family": "IPv4", "available": "253"},
                {"family": "IPv6", "available": "18446744073709551614"}]}
                """
            )
        case .lookupIP:
            (
                #"{"ip": "10.96.0.10"}"#,
                """
                {"ip": "10.96.0.10", "pool": "services-ipv4", "state": "allocated",
                "owner": {"kind": "Service", "namespace": "shop", "name": "web"}}
                """
            )
        case .getPools:
            (
                #"{}"#,
                """
                {"pools": [
                {"name": "services-ipv4", "family": "IPv4", "cidr": "10.96.0.0/20", "capacity": "4094", "allocated": "1",
                "available": "4093"},
                {"name": "services-ipv6", "family": "IPv6", "cidr": "fd00:10:96::/112", "capacity": "65535",
                "allocated": "0", "available": "65535"},
                {"name": "nodes-ipv4", "family": "IPv4", "cidr": "10.244.0.0/16", "capacity": "256", "allocated": "1",
                "available": "255"},
                {"name": "nodes-ipv6", "family": "IPv6", "cidr": "fd00:10:244::/48", "capacity": "65536", "allocated": "1",
                "available": "65535"},
                {"name": "pods-n1-ipv4"}, {"name": "pods-n1-ipv6"}]}
                """
            )
        case .getPoolMap:
            (
                #"{"pool": "services-ipv4", "blocks": 2}"#,
                """
                {"name": "services-ipv4", "kind": "Service", "family": "IPv4", "cidr": "10.96.0.0/20", "blockSize": "2048",
                "blocks": [
                {"first": "10.96.0.0", "allocated": "1", "coolingDown": "0", "reserved": "1", "free": "2046"},
                {"first": "10.96.8.0", "allocated": "0", "coolingDown": "0", "reserved": "1", "free": "2047"}]}
                """
            )
        case .watch:
            (
                #"{"kinds": ["Pod"], "nodeName": "n2", "resourceVersion": "1"}"#,
                #"{"subscription": "1", "resourceVersion": "1"}"#
            )
        case .unwatch: (#"{"subscription": "1"}"#, #"{}"#)
        case .discover:
            (#"{}"#, #"{"openrpc": "1.3.2", "info": {"title": "Tandem", "version": "\#(OpenRPC.version)"}}"#)
        }
    }

    /// As an OpenRPC document has it: a pairing of named params and a result.
    var example: JSONValue {
        let texts = exampleTexts
        // A text that is no JSON would be a fault of this file, and the tests make each of these calls.
        let (params, result) = (
            (try? JSONValue(parsing: texts.params)) ?? [:], (try? JSONValue(parsing: texts.result)) ?? [:]
        )
        return [
            "name": .string("\(rawValue) by example"),
            "params": .array((params.objectValue?.members ?? []).map { ["name": .string($0.0), "value": $0.1] }),
            "result": ["name": "result", "value": result],
        ]
    }
}
