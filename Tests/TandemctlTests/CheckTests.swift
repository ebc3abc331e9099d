import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Contradictions planted in the tables of a stopped server. A start takes the addresses that objects hold from one column and those that they
/// show from another, so that the two can be made to differ; where two hold one address, it refuses to start.
@Suite("tandemctl check", .serialized)
struct CheckTests {
    private func sqlite(_ directory: String, _ sql: String) {
        let script = """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1])
            changed = db.execute(sys.argv[2]).rowcount
            db.commit()
            sys.exit(0 if changed == 1 else 1)
            """
        let result = Command.run("python3", ["-c", script, "\(directory)/tandem.db", sql])
        #expect(result.status == 0, "\(sql): \(result.errors)")
    }

    /// Two Services, a node and a pod, in a server that has stopped.
    private func makeStopped(_ directory: String) throws {
        let server = try ServerProcess(directory)
        let stream = try LineStream(port: server.port)
        for (name, last) in [("a", 11), ("b", 12)] {
            let answer = stream.call(
                .allocateServiceIPs,
                [
                    "service": [
                        "metadata": ["name": .string(name)],
                        "spec": [
                            "ipFamilyPolicy": "RequireDualStack",
                            "clusterIP": .string("10.96.0.\(last)"),
                            "clusterIPs": [.string("10.96.0.\(last)"), .string("fd00:10:96::\(last)")],
                        ],
                    ]
                ])
            #expect(answer?["result"] != nil)
        }
        let pod = stream.call(.allocatePodIPs, ["pod": ["metadata": ["name": "p"], "spec": ["nodeName": "n1"]]])
        #expect(pod?["result"]?["pod"]?["status"]?["podIP"] == "10.244.0.2")
        #expect(server.stop() == 0)
    }

    @Test(
        "finds each planted contradiction",
        arguments: [
            (
                "two owners",
                "UPDATE stored_services SET document = replace(document, '10.96.0.12', '10.96.0.11') WHERE key = 'default/b'",
                "10.96.0.11 has two owners: Service default/a and Service default/b"
            ),
            (
                "a leaked bit",
                "UPDATE stored_services SET holdings = holdings || ' clusterIP=10.96.0.99' WHERE key = 'default/a'",
                "pool services-ipv4 counts 3 allocated, objects hold 2"
            ),
            (
                "a lost bit",
                "UPDATE stored_services SET holdings = replace(holdings, 'clusterIP=10.96.0.11 ', '') WHERE key = 'default/a'",
                "10.96.0.11 is held by Service default/a, but looked up it is free by nobody"
            ),
            (
                "a Service's address outside its range",
                "UPDATE stored_services SET document = replace(document, '10.96.0.11', '10.99.0.1') WHERE key = 'default/a'",
                "10.99.0.1 is held by Service default/a, but looked up it is outOfRange by nobody"
            ),
            (
                "a pod's address outside its range",
                "UPDATE stored_pods SET document = replace(document, '10.244.0.2', '10.9.9.9')",
                "Pod default/p: 10.9.9.9 lies in no pod CIDR of Node n1"
            ),
            (
                "a pod whose node has no CIDR",
                "UPDATE stored_nodes SET document = json_remove(document, '$.spec.podCIDR', '$.spec.podCIDRs')",
                "Pod default/p: Node n1 has no pod CIDR, but 10.244.0.2 would come from one"
            ),
        ])
    func findsContradictions(_ what: String, _ sql: String, _ fault: String) throws {
        let directory = ScratchDirectory()
        try makeStopped(directory.path)
        sqlite(directory.path, sql)
        let server = try ServerProcess(directory.path)
        let result = Ctl(port: server.port)("check")
        #expect(result.status == 1, "\(what)")
        #expect((result.output + result.errors).contains(fault), "\(what): \(result.output)\(result.errors)")
        if sql.contains("services") && !what.contains("outside") {
            // The server itself sees it too, without being asked.
            var faults = ""
            for _ in 0..<200 where !["1", "2", "3"].contains(faults) {
                let metrics = Curl(port: server.port, role: "viewer").request("/metrics").body.split(separator: "\n")
                let line = metrics.first { $0.hasPrefix("tandem_audit_faults ") }
                faults = line?.split(separator: " ").last.map(String.init) ?? ""
            }
            #expect(["1", "2", "3"].contains(faults), "\(what)")
            kill(server.processID, SIGTERM)
            #expect(server.nextLogLine(with: "the books do not agree") != nil, "\(what)")
        }
        #expect(server.stop() == 0)
    }

    @Test("where two objects hold one address, the server does not start, and names them")
    func refusesTwoOwners() throws {
        let directory = ScratchDirectory()
        try makeStopped(directory.path)
        sqlite(
            directory.path,
            "UPDATE stored_services SET holdings = replace(holdings, '10.96.0.12', '10.96.0.11') WHERE key = 'default/b'"
        )
        let result = Command.run(
            ServerProcess.program,
            ServerProcess.tls + ServerProcess.ranges + ["--data-dir=\(directory.path)", "--secure-port=0"])
        #expect(result.status == 1)
        #expect(result.errors.contains("holds 10.96.0.11") && result.errors.contains("default/a"))
    }
}
