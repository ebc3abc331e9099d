import Addressing
import OpenSSLTLS
import ServerSupport
import TandemAPI
import TandemClient
import TestSupport
import Testing

/// A real server, called as by a foreign program: through the public interface of the modules.
@Suite("Typed calls")
struct TypedCallTests {
    private let directory = ScratchDirectory()

    private func client(_ port: Int) async throws -> TandemClient {
        let certificates = Certificates.shared
        return try await TandemClient.connect(
            ClientConfiguration(
                host: "127.0.0.1", port: port, caFile: certificates.ca,
                identity: TLSIdentity(
                    certificateChainFile: certificates.certificate("admin"), privateKeyFile: certificates.key("admin")))
        )
    }

    private func server(_ port: Int = 0) async throws -> ServerProcess {
        let path = directory.path
        return try await onOwnThread { Box(try ServerProcess(path, port: port)) }.value
    }

    private final class Box: @unchecked Sendable {
        // Proof: never changed.
        let value: ServerProcess
        init(_ value: ServerProcess) { self.value = value }
    }

    @Test("Services, nodes and pods get addresses, are found, and give them back")
    func calls() async throws {
        let server = try await server()
        let client = try await client(server.port)
        var service = Service(metadata: ObjectMeta(namespace: "shop", name: "web"))
        service.spec.ipFamilyPolicy = "PreferDualStack"
        let dry = try await client.allocateServiceIPs(service, isDryRun: true)
        #expect(dry.service.spec.clusterIPs.count == 2)
        let made = try await client.allocateServiceIPs(service)
        #expect(made.service.spec.ipFamilies == ["IPv4", "IPv6"] && !made.isReplayed && made.released.isEmpty)
        #expect(try await client.allocateServiceIPs(service).isReplayed)
        service.spec.ipFamilyPolicy = "SingleStack"
        service.metadata.resourceVersion = made.service.metadata.resourceVersion
        let updated = try await client.updateServiceIPs(service)
        #expect(updated.released.map(\.description) == [made.service.spec.clusterIPs[1].description])
        #expect(try await client.service("web", namespace: "shop") == updated.service)
        #expect(try await client.services(namespace: "shop").map(\.metadata.name) == ["web"])

        let node = try await client.allocateNodeCIDRs(Node(metadata: ObjectMeta(name: "n1")))
        #expect(node.podCIDRs.map(\.family) == [.ipv4, .ipv6] && !node.isReplayed)
        #expect(try await client.node("n1") == node.node)
        let attachment = Attachment(containerID: "c1")
        let pod = try await client.allocatePodIPs(
            Pod(metadata: ObjectMeta(namespace: "shop", name: "p"), nodeName: "n1"), attachment: attachment)
        #expect(pod.nodeName == "n1" && pod.podCIDRs == node.podCIDRs)
        #expect(zip(pod.addresses, pod.podCIDRs).allSatisfy { $1.contains($0) } && pod.addresses.count == 2)
        #expect(pod.gateways.count == 2 && Set(pod.gateways).isDisjoint(with: pod.addresses))
        let single = try await client.allocatePodIPs(
            Pod(metadata: ObjectMeta(name: "q"), nodeName: "n1"), families: [.ipv6])
        #expect(single.addresses.map(\.family) == [.ipv6])
        #expect(
            try await client.pod("p", namespace: "shop").podIPs.map(\.description) == pod.addresses.map(\.description))
        #expect(try await client.pods(nodeName: "n1").count == 2)
        #expect(try await client.nodes().count == 1)
        let holder = try await client.holder(of: pod.addresses[0])
        #expect(holder.state == .allocated && holder.owner?.kind == .pod && holder.owner?.name == "p")
        #expect(try await client.holder(of: IPAddress("192.0.2.1")!).state == .outOfRange)

        #expect(try await client.release(.attachment(containerID: "c1", nodeName: "n1")).count == 2)
        #expect(try await client.release(.attachment(containerID: "c1", nodeName: "n1")).isEmpty)
        #expect(try await client.release(.pod(namespace: "default", name: "q")).count == 1)
        let subnets = try await client.release(.node(name: "n1"))
        #expect(subnets.map(\.what) == node.podCIDRs.map { .subnet($0) } && subnets[0].owner.name == "n1")
        #expect(try await client.release(.service(namespace: "shop", name: "web")).count == 1)
        await #expect { try await client.service("web", namespace: "shop") } throws: { error in
            (error as? APIError)?.status == .notFound
        }
        await client.close()
    }

    @Test(
        "a server that goes away and comes back is come back to: the call that waits has its answer, and stored objects are there"
    )
    func comesBack() async throws {
        let first = try await server()
        let port = first.port
        let client = try await client(port)
        let made = try await client.allocateServiceIPs(Service(metadata: ObjectMeta(name: "before")))
        let old = Box(first)
        try await onOwnThread { old.value.crash() }
        async let waiting = client.allocateServiceIPs(Service(metadata: ObjectMeta(name: "meanwhile")))
        let second = try await server(port)
        #expect(try await waiting.service.spec.clusterIPs.count == 1)
        #expect(try await client.service("before") == made.service)
        #expect(second.port == port)
        await client.close()
    }
}
