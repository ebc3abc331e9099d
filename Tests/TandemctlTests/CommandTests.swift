import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("tandemctl", .serialized)
struct CommandTests {
    private static let flags = ServerProcess.ranges + ["--load-balancer-ip-range=192.0.2.0/24"]

    @Test("applied objects can be shown as a table, wide, YAML and JSON, looked up, checked and deleted")
    func worksThroughAll() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let ctl = Ctl(port: server.port)
        let applied = ctl(
            "apply -n shop -f -",
            input: """
                {"apiVersion":"v1","kind":"List","items":[
                {"kind":"Service","metadata":{"name":"web"},"spec":{"ipFamilyPolicy":"PreferDualStack","ports":[{"port":80}]}},
                {"kind":"Node","metadata":{"name":"n1"}},
                {"kind":"Pod","metadata":{"name":"p","namespace":"other"},"spec":{"nodeName":"n1"}}]}
                """)
        #expect(applied.output == "service/web created\nnode/n1 registered\npod/p created\n", "\(applied.errors)")

        let table = ctl("get svc -n shop").output.split(separator: "\n")
        #expect(table[0].split(separator: " ") == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"])
        #expect(table[1].hasPrefix("web    ClusterIP   10.96."))
        #expect(ctl("get services -A -o wide").output.contains("IPv4,IPv6     PreferDualStack"))
        #expect(ctl("get no").output.contains("10.244.0.0/24,fd00:10:244::/64"))
        #expect(ctl("get pods -A").output.contains("10.244.0.2,fd00:10:244::2   n1"))
        #expect(ctl("get pool services-ipv4 -o yaml").output.contains("allocated: \"1\"\n"))
        let json = try JSONValue(parsing: ctl("get svc web -n shop -o json").output)
        let ip = try #require(json["spec"]?["clusterIP"]?.stringValue)
        #expect(json["kind"] == "Service")
        #expect(try JSONValue(parsing: ctl("get svc -n shop -o json").output)["items"]?.arrayValue?.count == 1)
        #expect(ctl("get svc").errors == "No resources found in default namespace.\n")

        #expect(ctl("lookup \(ip)").output.contains("services-ipv4   allocated   Service shop/web"))
        #expect(ctl("lookup 10.96.0.0/12 -o name").output == "ip/\(ip)\n")
        #expect(ctl("lookup 10.0.0.0/8").output.split(separator: "\n").count == 3)
        #expect(ctl("lookup 203.0.113.0/24").errors == "No address of 203.0.113.0/24 is held.\n")
        #expect(ctl("check").output.hasPrefix("ok: 4 addresses"))
        #expect(ctl("delete node n1").status == 1)
        #expect(ctl("delete node n1 --force").output.hasPrefix("node \"n1\" deleted: 10.244.0.2"))
        #expect(ctl("delete svc web -n shop").output.contains("deleted: \(ip), fd00:10:96::"))
        #expect(ctl("delete svc web -n shop --ignore-not-found").status == 0)
        #expect(ctl("check").output.hasPrefix("ok: 0 addresses"))
        #expect(ctl("version").output == "tandemctl \(BuildInfo.text)\ntandemd   \(OpenRPC.version)\n")
    }

    @Test(
        "node ports: drawn, asked for and refused, shown with their pool, held to it by check, given back, over a restart"
    )
    func handsOutNodePorts() throws {
        let directory = ScratchDirectory()
        let flags = ServerProcess.ranges + ["--service-node-port-range=30000-30003"]
        var server = try ServerProcess(directory.path, flags)
        var ctl = Ctl(port: server.port)
        func service(_ name: String, _ ports: String) -> String {
            "kind: Service\nmetadata: {name: \(name)}\nspec: {type: NodePort, ports: [\(ports)]}\n"
        }
        let both = "{name: t, port: 53, nodePort: 30001}, {name: u, port: 53, protocol: UDP}"
        #expect(ctl("apply -f -", input: service("dns", both)).status == 0)
        #expect(ctl("get svc").output.contains("53:30001/TCP,53:30001/UDP"), "\(ctl("get svc").output)")
        let taken = ctl("apply -f -", input: service("web", "{port: 80, nodePort: 30001}"))
        #expect(
            taken.errors.contains("spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"),
            "\(taken.errors)")
        #expect(server.stop() == 0)
        server = try ServerProcess(directory.path, flags)
        ctl = Ctl(port: server.port)
        for name in ["a", "b", "c"] { #expect(ctl("apply -f -", input: service(name, "{port: 80}")).status == 0) }
        let full = ctl("apply -f -", input: service("d", "{port: 80}"))
        #expect(full.status == 1 && full.errors.contains("the range 30000-30003 is full"), "\(full.errors)")
        let row = ctl("get pool nodeports").output.split(separator: "\n").last?.split(separator: " ") ?? []
        #expect(row == ["nodeports", "30000-30003", "4", "4", "0"])
        #expect(ctl("check").output.hasPrefix("ok: 4 addresses"), "\(ctl("check").errors)")
        #expect(ctl("flags kube-apiserver").output.hasSuffix("\n--service-node-port-range=30000-30003\n"))
        #expect(ctl("delete svc dns").status == 0)
        #expect(ctl("apply -f -", input: service("web", "{port: 80, nodePort: 30001}")).status == 0)
        #expect(server.stop() == 0)

        // Where two Services came to show one while none were handed out, check says so.
        let two = ServerProcess.ranges
        server = try ServerProcess(directory.path, two)
        ctl = Ctl(port: server.port)
        #expect(ctl("apply -f -", input: service("x", "{port: 80, nodePort: 30001}")).status == 0)
        #expect(ctl("check").status == 0)
        #expect(server.stop() == 0)
        server = try ServerProcess(directory.path, flags)
        let told = Ctl(port: server.port)("check")
        #expect(told.status == 1)
        #expect(
            told.errors.contains("node port 30001 has 2 owners: Service default/web and Service default/x"),
            "\(told.errors) \(told.output)")
    }

    @Test(
        "as kubectl: kind/name, several kinds and names, joined flags, names alone, flags before the verb, a server's URL"
    )
    func feelsLikeKubectl() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let ctl = Ctl(port: server.port)
        let objects =
            ["a", "b"].map { #"{"kind":"Service","metadata":{"name":"\#($0)","namespace":"shop"},"spec":{}}"# }
            + [#"{"kind":"Pod","metadata":{"name":"a","namespace":"shop"},"spec":{"nodeName":"n1"}}"#]
        #expect(ctl("apply -f -", input: objects.joined(separator: "\n")).status == 0)
        func names(_ words: String) -> [String] { ctl(words).output.split(separator: "\n").map(String.init) }
        #expect(names("get svc -nshop -oname") == ["service/a", "service/b"])
        #expect(names("get svc,pods -n shop -o name") == ["service/a", "service/b", "pod/a"])
        #expect(names("get svc a b -n shop -o name") == ["service/a", "service/b"])
        #expect(names("get pod/a svc/b svc/a -n shop -oname") == ["pod/a", "service/b", "service/a"])
        #expect(names("-n shop get svc/b -o name") == ["service/b"])
        #expect(names("--namespace=shop -oname get pools").contains("pool/services-ipv4"))
        #expect(ctl("get svc/a -n shop -oyaml").output.contains("kind: Service\n"))
        let tables = ctl("get svc,pods -n shop").output
        #expect(tables.contains("service/a ") && tables.contains("\n\nNAME") && tables.contains("pod/a "))
        #expect(try JSONValue(parsing: ctl("get svc,pods -n shop -ojson").output)["items"]?.arrayValue?.count == 3)

        let certificates = Certificates.shared
        let url = Command.run(
            ServerProcess.program("tandemctl"),
            [
                "--server", "https://127.0.0.1:\(server.port)/", "--ca-file", certificates.ca, "--cert-file",
                certificates.certificate("admin"), "--key-file=\(certificates.key("admin"))", "get", "svc/a", "-nshop",
                "-o", "name",
            ])
        #expect(url.output == "service/a\n", "\(url.errors)")

        for (words, part) in [
            ("get banana", "is no kind"), ("get svc/", "kind/name"), ("get svc a/b", "kind/name"),
            ("get svc/a b", "kind/name"),
            ("get", "Give a kind"), ("delete svc", "Give the name"), ("delete pool/x", "change the servers' flags"),
        ] {
            let result = ctl(words)
            #expect(result.status == 2 && result.errors.contains(part), "\(words): \(result.errors)")
        }
        #expect(ctl("get svc/none -n shop").status == 1)
        #expect(ctl("delete svc/a pod/a -n shop").output.split(separator: "\n").count == 2)
        #expect(names("get svc,pods -n shop -oname") == ["service/b"])
    }

    @Test("the servers of one that shares its ranges with none: itself, and that it is so")
    func listsItself() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let listed = Ctl(port: server.port)("get servers")
        #expect(listed.errors == "This server keeps everything in a database of its own: no other shares its ranges.\n")
        let lines = listed.output.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(lines.count == 2)
        #expect(lines.last?.prefix(5) == ["single", "127.0.0.1:0", "true", OpenRPC.version[...], "<none>"])
        #expect(Ctl(port: server.port)("delete server single").errors.contains("when it is stopped"))
    }

    @Test("a dry run keeps nothing; one object that is refused does not stop the others")
    func appliesEach() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let ctl = Ctl(port: server.port)
        let two = """
            kind: Service
            metadata: {name: bad}
            spec: {ipFamilies: [IPv4, IPv5], ipFamilyPolicy: Sometimes}
            ---
            kind: Service
            metadata: {name: good}
            """
        let dry = ctl("apply --dry-run -f -", input: two)
        #expect(dry.output == "service/good created (dry run)\n")
        #expect(dry.status == 1)
        let applied = ctl("apply -f -", input: two)
        #expect(applied.output == "service/good created\n")
        #expect(applied.errors.contains("* spec.ipFamilies[1]: Unsupported value"))
        #expect(applied.errors.contains("* spec.ipFamilyPolicy: Unsupported value"))
        #expect(ctl("get svc good").status == 0)
    }

    @Test("the exit status names the side at fault, and the message the remedy")
    func tellsFaults() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path, Self.flags)
        let ctl = Ctl(port: server.port)
        func expect(
            _ result: Command.Result, _ status: Int32, _ words: String, at line: SourceLocation = #_sourceLocation
        ) {
            #expect(result.status == status, "\(result.errors)", sourceLocation: line)
            #expect(result.errors.contains(words), "\(result.errors)", sourceLocation: line)
        }
        expect(ctl("get svc nope"), 1, "Error from server (NotFound): service \"nope\" not found")
        expect(ctl("delete pod nope"), 1, "pod \"nope\" not found")
        expect(ctl("get cats"), 2, "cats")
        expect(ctl("delete pool x"), 2, "range")
        expect(ctl("apply -f /nowhere.yaml"), 2, "/nowhere.yaml can't be read")
        expect(ctl("apply -f -", input: "kind: Deployment\nmetadata: {name: x}\n"), 2, "kind Deployment")
        expect(ctl("apply -f -", input: "kind: [\n"), 2, "neither YAML nor JSON")
        expect(ctl("lookup nonsense"), 2, "nonsense is no IPv4 or IPv6 address")
        expect(Ctl(port: 1).run(["get", "svc"]), 3, "Connection refused")
        expect(
            Ctl(port: server.port, role: "viewer")("apply -f -", input: "kind: Service\nmetadata: {name: x}"), 1,
            "may not")
        let program = ServerProcess.program("tandemctl")
        expect(Command.run(program, ["get", "svc"]), 2, "--ca-file or TANDEM_CA_FILE")
        expect(
            Command.run(program, ["get", "svc", "--ca-file", "/none", "--server", "127.0.0.1:\(server.port)"]), 2,
            "can't read /none")
        #expect(Command.run(program, ["--help"]).status == 0)
        #expect(server.stop() == 0)
        expect(ctl("get svc"), 3, "can't reach the server")
    }

    @Test("a backup starts a new server with everything in it, and replaces nothing")
    func restoresBackups() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess("\(directory.path)/old", Self.flags)
        let ctl = Ctl(port: server.port)
        #expect(
            ctl("apply -f -", input: "kind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer}").status == 0)
        #expect(ctl("apply -f -", input: "kind: Pod\nmetadata: {name: p}\nspec: {nodeName: n1}").status == 0)
        let file = "\(directory.path)/backup.db"
        #expect(Ctl(port: server.port, role: "viewer")("backup \(file)").status == 1)
        #expect(!FileManager.default.fileExists(atPath: file))
        #expect(ctl("backup \(file)").status == 0)
        #expect(ctl("backup \(file)").status == 1)
        let before = ctl("get svc -o json").output + ctl("get pods -o json").output

        let copy = try ServerProcess("\(directory.path)/new", Self.flags + ["--restore=\(file)"])
        let other = Ctl(port: copy.port)
        #expect(other("get svc -o json").output + other("get pods -o json").output == before)
        #expect(other("check").output.hasPrefix("ok: 4 addresses"))
        // The same pod asks again, of the copy: it is known.
        #expect(
            other("apply -f -", input: "kind: Pod\nmetadata: {name: p}\nspec: {nodeName: n1}").output
                == "pod/p unchanged\n")
        #expect(copy.stop() == 0)
        let again = Command.run(
            ServerProcess.program,
            ServerProcess.tls + Self.flags + [
                "--data-dir=\(directory.path)/new", "--restore=\(file)", "--secure-port=0",
            ])
        #expect(again.status == 1)
        #expect(again.errors.hasPrefix("tandemd: --restore: "))
        let junk = Command.run(
            ServerProcess.program,
            ServerProcess.tls + Self.flags
                + ["--data-dir=\(directory.path)/junk", "--restore=\(Certificates.shared.ca)", "--secure-port=0"])
        #expect(junk.status == 1)
        #expect(junk.errors.contains("ca.crt is not a database"), "\(junk.errors)")
    }
}
