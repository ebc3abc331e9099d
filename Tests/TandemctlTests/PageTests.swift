import Foundation
import ServerSupport
import TestSupport
import Testing

/// Each example of Kubernetes' page on dual-stack, as a user would follow it: apply, look, edit, apply again.
@Suite("Kubernetes' page on IPv4/IPv6 dual-stack", .serialized)
struct PageTests {
    private static let dualStack = ["--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112"]
    private static let singleStack = ["--service-cluster-ip-range=10.96.0.0/20"]

    private func manifest(_ spec: String) -> String {
        """
        apiVersion: v1
        kind: Service
        metadata:
          name: my-service
          labels:
            app.kubernetes.io/name: MyApp
        spec:
        \(spec)
          selector:
            app.kubernetes.io/name: MyApp
          ports:
            - protocol: TCP
              port: 80

        """
    }

    /// The output of `get -o yaml`, with `ADDRESS4` and `ADDRESS6` for drawn addresses.
    private func shown(_ ctl: Ctl, _ name: String = "my-service") -> String {
        var text = ctl("get service \(name) -o yaml").output
        for (pattern, word) in [
            (#"10\.96\.\d+\.\d+"#, "ADDRESS4"), (#"fd00:10:96::[0-9a-f]+"#, "ADDRESS6"),
            (#"\n  (creationTimestamp|namespace|resourceVersion|uid): .*"#, ""),
        ] {
            text = text.replacingOccurrences(of: pattern, with: word, options: .regularExpression)
        }
        return text
    }

    private func page(clusterIPs: [String], families: [String], policy: String, selector: Bool = true) -> String {
        func list(_ items: [String]) -> String { items.map { "  - \($0)\n" }.joined() }
        return """
            apiVersion: v1
            kind: Service
            metadata:
              labels:
                app.kubernetes.io/name: MyApp
              name: my-service
            spec:
              clusterIP: \(clusterIPs[0])
              clusterIPs:
            \(list(clusterIPs))  ipFamilies:
            \(list(families))  ipFamilyPolicy: \(policy)
              ports:
              - port: 80
                protocol: TCP
              selector:
                app.kubernetes.io/name: MyApp
              type: ClusterIP
            status:
              loadBalancer: {}

            """
    }

    @Test("dual-stack options on new Services")
    func newServices() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.dualStack)
        let ctl = Ctl(port: server.port)
        let examples: [(spec: String, page: String)] = [
            ("", page(clusterIPs: ["ADDRESS4"], families: ["IPv4"], policy: "SingleStack")),
            (
                "  ipFamilyPolicy: PreferDualStack",
                page(clusterIPs: ["ADDRESS4", "ADDRESS6"], families: ["IPv4", "IPv6"], policy: "PreferDualStack")
            ),
            (
                "  ipFamilyPolicy: PreferDualStack\n  ipFamilies:\n    - IPv6\n    - IPv4",
                page(clusterIPs: ["ADDRESS6", "ADDRESS4"], families: ["IPv6", "IPv4"], policy: "PreferDualStack")
            ),
            ("  ipFamilies: [IPv6]", page(clusterIPs: ["ADDRESS6"], families: ["IPv6"], policy: "SingleStack")),
            (
                "  ipFamilyPolicy: RequireDualStack",
                page(clusterIPs: ["ADDRESS4", "ADDRESS6"], families: ["IPv4", "IPv6"], policy: "RequireDualStack")
            ),
            ("  clusterIP: None", page(clusterIPs: ["None"], families: ["IPv4"], policy: "SingleStack")),
        ]
        for example in examples {
            let applied = ctl("apply -f -", input: manifest(example.spec))
            #expect(applied.output == "service/my-service created\n", "\(applied.errors)")
            #expect(shown(ctl) == example.page)
            #expect(ctl("delete service my-service").status == 0)
        }
    }

    @Test("dual-stack defaults on existing Services, and switching them")
    func existingServices() throws {
        let directory = ScratchDirectory()
        var server = try ServerProcess(directory.path, Self.singleStack)
        var ctl = Ctl(port: server.port)
        #expect(ctl("apply -f -", input: manifest("")).status == 0)
        #expect(server.stop() == 0)

        // Dual-stack is turned on: the Service is as it was.
        server = try ServerProcess(directory.path, Self.dualStack)
        ctl = Ctl(port: server.port)
        let single = page(clusterIPs: ["ADDRESS4"], families: ["IPv4"], policy: "SingleStack")
        #expect(shown(ctl) == single)
        let first = ctl("get svc my-service -o yaml").output

        // From single-stack to dual-stack: the missing family is added behind.
        let preferring = first.replacingOccurrences(of: "SingleStack", with: "PreferDualStack")
        #expect(ctl("apply -f -", input: preferring).output == "service/my-service configured\n")
        #expect(
            shown(ctl)
                == page(clusterIPs: ["ADDRESS4", "ADDRESS6"], families: ["IPv4", "IPv6"], policy: "PreferDualStack"))

        // From dual-stack to single-stack: the first address stays, the second is free again.
        let dual = ctl("get svc my-service -o yaml").output
        let back = dual.replacingOccurrences(of: "PreferDualStack", with: "SingleStack")
        #expect(ctl("apply -f -", input: back).output == "service/my-service configured\n")
        #expect(shown(ctl) == single)
        let second = dual.split(separator: "\n").first { $0.hasPrefix("  - fd00") }?.dropFirst(4) ?? ""
        #expect(ctl("lookup \(second)").output.contains(" free "))
        let primary = first.split(separator: "\n").first { $0.hasPrefix("  clusterIP:") } ?? ""
        #expect(ctl("get svc my-service -o yaml").output.contains(primary))
    }

    @Test("a cluster of one family: preferring two gets one, requiring two is refused")
    func singleStackCluster() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.singleStack)
        let ctl = Ctl(port: server.port)
        #expect(ctl("apply -f -", input: manifest("  ipFamilyPolicy: PreferDualStack")).status == 0)
        #expect(shown(ctl) == page(clusterIPs: ["ADDRESS4"], families: ["IPv4"], policy: "PreferDualStack"))
        #expect(ctl("delete svc my-service").status == 0)
        let refused = ctl("apply -f -", input: manifest("  ipFamilyPolicy: RequireDualStack"))
        #expect(refused.status == 1)
        #expect(
            refused.errors.contains("spec.ipFamilyPolicy") && refused.errors.contains("not configured for dual-stack"))
    }

    @Test("headless without a selector, and a load balancer")
    func othersOfThePage() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, Self.dualStack + ["--load-balancer-ip-range=192.0.2.0/24,2001:db8::/112"])
        let ctl = Ctl(port: server.port)
        let examples = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docker/examples").standardized.path
        let applied = ctl("apply -f \(examples)/services.yaml")
        #expect(applied.status == 0, "\(applied.errors)")
        #expect(applied.output.split(separator: "\n").count == 6)
        let selectorless = shown(ctl, "my-service-selectorless")
        #expect(
            selectorless.contains(
                """
                spec:
                  clusterIP: None
                  clusterIPs:
                  - None
                  ipFamilies:
                  - IPv4
                  - IPv6
                  ipFamilyPolicy: RequireDualStack

                """))
        let balanced = ctl("get svc my-service-balanced -o json").output
        #expect(balanced.contains("\"ip\": \"192.0.2.") && balanced.contains("\"ip\": \"2001:db8::"))
        #expect(
            ctl("apply -f \(examples)/services.yaml").output.split(separator: "\n").allSatisfy {
                $0.hasSuffix("unchanged")
            })
    }
}
