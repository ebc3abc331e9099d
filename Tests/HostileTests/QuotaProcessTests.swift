import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Clients that have the server keep all they can.
@Suite("Memory kept for one client", .serialized)
struct QuotaProcessTests {
    private func service(_ name: String, bytes: Int) -> String {
        let text = String(repeating: "x", count: bytes)
        return
            #"{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":"\#(name)","annotations":{"a":"\#(text)"}}}}}"#
            + "\n"
    }

    private func answer(_ client: WireClient, _ text: String) throws -> JSONValue {
        client.begin(text)
        return try #require(client.receiveAnswer())
    }

    @Test(
        "memory in use stops at its limit, whichever client fills it; existing objects are served, and there is room once some are released"
    )
    func stopsAtMemoryLimit() throws {
        let directory = ScratchDirectory()
        let limit = 96 << 20
        let server = try ServerProcess(directory.path, ServerProcess.ranges + ["--memory-limit=\(limit)"])
        let client = try WireClient(port: server.port)
        var kept = 0
        var error: JSONValue?
        while error == nil, kept < 4_000 {
            error = try answer(client, service("s\(kept)", bytes: 60_000))["error"]
            if error == nil { kept += 1 }
        }
        #expect(error?["data"]?["reason"] == "MemoryLimit", "\(kept) kept: \(error?.text.description ?? "")")
        // Events between two reads, of which a busy machine has more, and those without an object. Unlimited they would take 240 MiB.
        #expect(server.residentBytes.highest < limit + (64 << 20), "\(server.residentBytes.highest >> 20) MiB")
        let get =
            #"{"jsonrpc":"2.0","id":1,"method":"GetService","params":{"service":{"metadata":{"name":"s0"}}}}"# + "\n"
        #expect(try answer(client, get)["result"] != nil)
        for index in 0..<kept / 2 {
            let release =
                #"{"jsonrpc":"2.0","id":1,"method":"Release","params":{"service":{"metadata":{"name":"s\#(index)"}}}}"#
                + "\n"
            #expect(try answer(client, release)["result"] != nil)
        }
        // Memory is given back a few seconds later.
        var isServed = false
        for _ in 0..<200_000 where !isServed {
            isServed = try answer(client, service("more", bytes: 60_000))["result"] != nil
        }
        #expect(isServed)
        #expect(server.stop() == 0)
        #expect(server.log.text.contains("memory in use is past --memory-limit"))
        #expect(server.log.text.contains("memory in use is below --memory-limit again"))
    }

    @Test("a node's agent keeps no object of a megabyte, and no more pods than its node has addresses")
    func boundsAgents() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, ServerProcess.ranges + ["--node-cidr-mask-size-ipv4=28"])
        let agent = try WireClient(port: server.port, role: "node-n1")
        func pod(_ index: Int, bytes: Int) -> String {
            let text = String(repeating: "x", count: bytes)
            return
                #"{"jsonrpc":"2.0","id":1,"method":"AllocatePodIPs","params":{"pod":{"metadata":{"name":"p\#(index)","labels":{"a":"\#(text)"}},"spec":{"nodeName":"n1"}},"ipFamilies":["IPv6"]}}"#
                + "\n"
        }
        #expect(try answer(agent, pod(0, bytes: 1_000_000))["error"]?["data"]?["reason"] == "ObjectTooLarge")
        for index in 0..<13 { #expect(try answer(agent, pod(index, bytes: 60_000))["result"] != nil) }
        #expect(try answer(agent, pod(13, bytes: 10))["error"]?["data"]?["reason"] == "TooManyPods")
        #expect(server.stop() == 0)
    }
}
