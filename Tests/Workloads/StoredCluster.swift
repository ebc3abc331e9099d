import Addressing
import Dispatch
public import IPAM
import Ledger
import TandemAPI

/// A cluster of many dual-stack objects, as a server finds it when it starts: nine pods for each Service, 200 pods a node.
public enum StoredCluster {
    public static let configuration = ClusterConfiguration(
        serviceRanges: [CIDR("172.16.0.0/12")!, CIDR("fd00:172::/108")!],
        clusterCIDRs: [CIDR("10.0.0.0/8")!, CIDR("fd00:10::/48")!])

    /// An engine on a data directory.
    public static func open(_ directory: String) throws -> Engine {
        try Engine(cluster: configuration, log: SQLiteLog(directory: directory))
    }

    /// Fills a new directory through an engine, and leaves it with everything in its tables.
    public static func make(in directory: String, objects: Int) throws {
        let engine = try open(directory)
        let underWay = DispatchSemaphore(value: 0)
        let limit = 4_096
        for number in 0..<objects {
            if number >= limit { underWay.wait() }
            engine.perform(number % 10 == 0 ? service(number) : pod(number)) { result in
                if case .failure(let error) = result { preconditionFailure("a call was refused: \(error)") }
                underWay.signal()
            }
        }
        for _ in 0..<min(limit, objects) { underWay.wait() }
        engine.stop()
    }

    private static func service(_ number: Int) -> Call {
        var spec = ServiceSpec()
        spec.ipFamilyPolicy = "PreferDualStack"
        return Call(
            .allocateServiceIPs,
            .allocateServiceIPs(
                Service(metadata: ObjectMeta(namespace: "default", name: "web-\(number)"), spec: spec)))
    }

    private static func pod(_ number: Int) -> Call {
        let pod = Pod(
            metadata: ObjectMeta(namespace: "default", name: "pod-\(number)"), nodeName: "node-\(number / 200)")
        return Call(
            .allocatePodIPs,
            .allocatePodIPs(PodRequest(pod: pod, attachment: Attachment(containerID: "container-\(number)"))))
    }
}
