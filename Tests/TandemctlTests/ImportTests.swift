import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// A running cluster taken over: its objects as `kubectl get services,nodes,pods -A -o json` prints them.
@Suite("tandemctl import", .serialized)
struct ImportTests {
    private static let flags = ServerProcess.ranges + ["--load-balancer-ip-range=192.0.2.0/24,2001:db8::/112"]

    private func service(_ index: Int) -> String {
        let last = index + 2
        let (v4, v6) = ("10.96.0.\(last)", "fd00:10:96::\(String(last, radix: 16))")
        var (type, ips, families, policy) = ("ClusterIP", [v4], ["IPv4"], "SingleStack")
        var (more, ingress) = ("", "")
        switch index % 6 {
        case 0: (ips, families, policy) = ([v6, v4], ["IPv6", "IPv4"], "PreferDualStack")
        case 1: (ips, families, policy) = ([v4, v6], ["IPv4", "IPv6"], "RequireDualStack")
        case 2: ips = ["None"]
        case 3:
            (type, policy) = ("LoadBalancer", "PreferDualStack")
            ingress = #""ingress":[{"ip":"192.0.2.\#(last)","ipMode":"VIP"}]"#
        case 4:
            return """
                {"apiVersion":"v1","kind":"Service","metadata":{"name":"s\(index)","namespace":"shop","uid":"su\(index)","resourceVersion":"7"},
                 "spec":{"type":"ExternalName","externalName":"example.com","sessionAffinity":"None"},"status":{"loadBalancer":{}}}
                """
        default: more = #""clusterIP":"\#(v4)","#
        }
        if more.isEmpty { more = #""clusterIP":"\#(ips[0])","# }
        let list = { (texts: [String]) in texts.map { "\"\($0)\"" }.joined(separator: ",") }
        return """
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"s\(index)","namespace":"shop","uid":"su\(index)","resourceVersion":"\(index)99",
             "creationTimestamp":"2023-05-05T05:05:05Z","managedFields":[{"manager":"kubectl"}]},
             "spec":{\(more)"clusterIPs":[\(list(ips))],"ipFamilies":[\(list(families))],"ipFamilyPolicy":"\(policy)","type":"\(type)",
             "ports":[{"port":80,"protocol":"TCP","targetPort":80}],"selector":{"a":"b"},"sessionAffinity":"None"},"status":{"loadBalancer":{\(ingress)}}}
            """
    }

    private func node(_ index: Int) -> String {
        """
        {"apiVersion":"v1","kind":"Node","metadata":{"name":"n\(index)","uid":"nu\(index)","resourceVersion":"5","labels":{"zone":"a"}},
         "spec":{"podCIDR":"10.244.\(index + 1).0/24","podCIDRs":["10.244.\(index + 1).0/24","fd00:10:244:\(index + 1)::/64"]},
         "status":{"addresses":[{"type":"InternalIP","address":"192.168.1.\(index)"}],"images":[{"names":["x"],"sizeBytes":1}]}}
        """
    }

    private func pod(_ index: Int) -> String {
        let (node, subnet) = (index % 3, index % 3 + 1)
        let ips =
            "[{\"ip\":\"10.244.\(subnet).\(index + 2)\"},{\"ip\":\"fd00:10:244:\(subnet)::\(String(index + 2, radix: 16))\"}]"
        var (status, spec) = (#""phase":"Running","podIP":"10.244.\#(subnet).\#(index + 2)","podIPs":\#(ips)"#, "")
        switch index % 8 {
        case 5: (status, spec) = (#""phase":"Running","podIPs":[{"ip":"192.168.1.\#(node)"}]"#, #","hostNetwork":true"#)
        case 6: status = #""phase":"Succeeded","podIPs":\#(ips)"#
        case 7: status = #""phase":"Pending""#
        default: break
        }
        return """
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p\(index)","generateName":"p","namespace":"shop","uid":"pu\(index)","resourceVersion":"6"},
             "spec":{"nodeName":"n\(node)","containers":[{"name":"c","image":"i"}]\(spec)},"status":{\(status)}}
            """
    }

    /// The pods first: the order of the objects is not the importer's concern.
    private func dump(_ more: [String] = []) -> String {
        let items = (0..<40).map(pod) + (0..<60).map(service) + (0..<3).map(node) + more
        return
            #"{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":[\#(items.joined(separator: ",\n"))]}"#
    }

    private func addresses(_ objects: [JSONValue]) -> [String: [String]] {
        var found: [String: [String]] = [:]
        for object in objects {
            let name = "\(object["kind"]?.stringValue ?? "")/\(object["metadata"]?["name"]?.stringValue ?? "")"
            let spec = object["spec"]
            found[name] =
                (spec?["clusterIPs"]?.arrayValue ?? []).compactMap(\.stringValue)
                + (spec?["podCIDRs"]?.arrayValue ?? []).compactMap(\.stringValue)
                + (object["status"]?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
                + (object["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
        }
        return found
    }

    @Test("once or ten times: no live address changes, and the books agree with the cluster")
    func takesAClusterOver() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let ctl = Ctl(port: server.port)
        let dump = dump()
        let dry = ctl("import -f - --dry-run", input: dump)
        // Pods are judged by nodes that would be there.
        #expect(dry.output == "88 taken in, 0 unchanged, 15 without addresses, 0 refused (dry run)\n", "\(dry.errors)")
        #expect(ctl("get nodes").output.isEmpty)

        let first = ctl("import -f -", input: dump)
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.output == "88 taken in, 0 unchanged, 15 without addresses, 0 refused\n", "\(first.output)")
        for _ in 0..<9 {
            #expect(
                ctl("import -f -", input: dump).output
                    == "0 taken in, 88 unchanged, 15 without addresses, 0 refused\n")
        }
        #expect(ctl("check").status == 0)
        let checked = ctl("check -f -", input: dump)
        #expect(checked.output.hasPrefix("ok: 103 objects of the cluster"), "\(checked.errors)")

        let shown = try JSONValue(parsing: Array(dump.utf8))["items"]?.arrayValue ?? []
        let wanted = addresses(shown)
        for kind in ["svc -n shop", "nodes", "pods -n shop"] {
            let held = try JSONValue(parsing: Array(ctl("get \(kind) -o json").output.utf8))["items"]?.arrayValue ?? []
            for (name, ips) in addresses(held) { #expect(wanted[name] == ips, "\(name)") }
        }
    }

    @Test("refused objects are reported, and all others are adopted")
    func saysWhatItRefuses() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let ctl = Ctl(port: server.port)
        #expect(
            ctl("apply -f -", input: #"{"kind":"Service","metadata":{"name":"old"},"spec":{"clusterIP":"10.96.0.2"}}"#)
                .status == 0)
        let far = node(3).replacingOccurrences(of: "10.244.4.0", with: "10.99.3.0")
        let imported = ctl("import -f -", input: dump([far]))
        #expect(imported.status == 1)
        #expect(
            imported.output.hasSuffix("87 taken in, 0 unchanged, 15 without addresses, 2 refused\n"),
            "\(imported.output)")
        #expect(
            imported.errors.contains("service/s0 of standard input, line 1 (document 1):")
                && imported.errors.contains("already allocated"))
        #expect(imported.errors.contains("node/n3 of ") && imported.errors.contains("--out-of-range"))
        #expect(imported.errors.contains("2 of 104 objects could not be taken in"))
        #expect(
            ctl("import -f - --out-of-range", input: far).output
                == "1 taken in, 0 unchanged, 0 without addresses, 0 refused\n")

        let checked = ctl("check -f -", input: dump([far]))
        #expect(checked.status == 1)
        let faults = checked.errors.split(separator: "\n").map(String.init)
        #expect(
            faults == [
                "fault: Service shop/s0 shows fd00:10:96::2, 10.96.0.2 and is not known here",
                "fault: Service default/old holds 10.96.0.2 and is not in the cluster",
            ], "\(checked.errors)")
    }

    @Test("check -f names each kind of difference")
    func namesDifferences() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let ctl = Ctl(port: server.port)
        #expect(ctl("import -f -", input: dump()).status == 0)
        var changed = dump()
        for (old, new) in [
            (#""uid":"su5""#, #""uid":"other""#), ("10.244.1.2", "10.244.1.77"),
            (#""192.0.2.5""#, #""192.0.2.55""#),
        ] { changed = changed.replacingOccurrences(of: old, with: new) }
        let faults = ctl("check -f -", input: changed).errors
        for part in [
            "Service shop/s5 has uid other in the cluster and su5 here",
            "Pod shop/p0, uid pu0, shows 10.244.1.77, which it does not hold here",
            "Service shop/s3 shows 192.0.2.55, which it does not hold here",
            "Service shop/s3 holds 192.0.2.5 here, which it does not show",
        ] { #expect(faults.contains(part), "\(part)\n\(faults)") }
        let over = dump().replacingOccurrences(of: #""phase":"Running","podIP""#, with: #""phase":"Failed","podIP""#)
        #expect(ctl("check -f -", input: over).errors.contains("is over (Failed), and holds 10.244.1.2"))
    }
}
