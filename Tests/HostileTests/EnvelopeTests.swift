import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Messages that cost more than they are worth, from clients with and without the right to send them.
@Suite("Decoding, by caller", .serialized)
struct EnvelopeTests {
    private func members(_ count: Int) -> String { (0..<count).map { "\"k\($0)\":1" }.joined(separator: ",") }

    private func call(_ method: String, _ params: String) -> String {
        #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"# + "\n"
    }

    @Test(
        "an object of 40,000 members is refused by its place; the same goes for each of a hundred")
    func refusesManyMembers() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let client = try WireClient(port: server.port)
        let many = (0..<40_000).map { "\"k\($0)\":\"\"" }.joined(separator: ",")
        let messages = [
            call("AllocateServiceIPs", #"{"service":{"metadata":{"name":"a"},\#(many)}}"#),
            call("AllocateServiceIPs", #"{"service":{"metadata":{"name":"a","labels":{\#(many)}}}}"#),
        ]
        let places = ["params.service: ", "params.service.metadata.labels: "]
        for index in 0..<100 {
            client.begin(messages[index % 2])
            let error = client.receiveAnswer()?["error"]
            #expect(error?["code"] == -32602)
            #expect(error?["message"]?.stringValue == places[index % 2] + "an object has at most 4096 members")
        }
        #expect(server.processorSeconds < 60)
        #expect(server.stop() == 0)
    }

    /// Each took a third of a second of an event loop, or with marks in it several.
    @Test("a stranger's 64 KiB are passed over, whatever is in them")
    func passesOverStrangers() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stranger = try WireClient(port: server.port, role: nil)
        let marks = String(repeating: "\u{301}\u{316}", count: 15_000)
        for (message, code) in [
            (call("AllocateServiceIPs", #"{"service":{"metadata":{\#(members(6_000))}}}"#), -32016),
            (call("AllocateServiceIPs", #"{"service":{"metadata":{"name":7}}}"#), -32016),
            (call("AllocateServiceIPs", #"{"service":{"metadata":{"name":"a\#(marks)"}}}"#), -32016),
            (
                #"{"jsonrpc":"2.0","id":1,"params":{"service":{\#(members(6_000))}},"method":"UpdateServiceIPs"}"#
                    + "\n", -32016
            ),
            (call("a" + marks, "{}"), -32601),
            (call("AllocateServiceIPs", #"{"service":{"metadata":{\#(members(6_000))}"#), -32700),
        ] {
            for _ in 0..<20 {
                stranger.begin(message)
                #expect(stranger.receiveAnswer()?["error"]?["code"]?.intValue == code)
            }
        }
        let few = String(marks.unicodeScalars.prefix(3_000))
        let (uri, header) = ("/a" + few, "a" + few)
        for _ in 0..<20 {
            let web = try WireClient(port: server.port, role: nil, protocols: ["http/1.1"])
            web.begin("GET \(uri) HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(web.receive()?.occurrences(of: "HTTP/1.1 400 ") == 1)
            let other = try WireClient(port: server.port, role: nil, protocols: ["http/1.1"])
            other.begin("POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: \(header)\r\nContent-Length: 2\r\n\r\n{}")
            #expect(other.receive()?.occurrences(of: "HTTP/1.1 415 ") == 1)
        }
        #expect(server.processorSeconds < 30)
        #expect(server.stop() == 0)
        // A stranger's input is not logged.
        #expect(server.log.text.utf8.count < 300_000)
    }

    /// The scan before decoding is one reading of the message, decoding another: nothing that is read in two ways gets
    /// through between them.
    @Test("a node's agent reaches no other node by members that come twice, or are written in another way")
    func holdsAgents() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let administrator = try WireClient(port: server.port)
        administrator.begin(
            call("AllocatePodIPs", #"{"pod":{"metadata":{"name":"own"},"spec":{"nodeName":"n1"}}}"#)
                + call("AllocatePodIPs", #"{"pod":{"metadata":{"name":"other"},"spec":{"nodeName":"n2"}}}"#)
                + call("AllocateServiceIPs", #"{"service":{"metadata":{"name":"s"},"spec":{}}}"#))
        for _ in 0..<3 { #expect(administrator.receiveAnswer()?["result"] != nil) }
        let agent = try WireClient(port: server.port, role: "node-n1")
        let (own, other) = (
            #""metadata":{"name":"p"},"spec":{"nodeName":"n1"}"#, #""metadata":{"name":"p"},"spec":{"nodeName":"n2"}"#
        )
        let (allocate, head) = (#""method":"AllocatePodIPs""#, #""jsonrpc":"2.0","id":1"#)
        for members in [
            #"\#(allocate),"params":{"pod":{\#(own)},"pod":{\#(other)}}"#,
            #"\#(allocate),"params":{"pod":{\#(own)},"p\u006fd":{\#(other)}}"#,
            #"\#(allocate),"params":{"pod":{\#(own),"spec":{"nodeName":"n2"}}}"#,
            #"\#(allocate),"params":{"pod":{\#(own),"sp\u0065c":{"nod\u0065Name":"n2"}}}"#,
            #"\#(allocate),"params":{"pod":{"metadata":{"name":"p"},"spec":{"nodeName":"n1","nod\u0065Name":"n2"}}}"#,
            #"\#(allocate),"params":{"pod":{\#(own)},"pod":{"metadata":{"name":"p"},"spec":{}}}"#,
            #"\#(allocate),"params":{"pod":{\#(own)}},"params":{"pod":{\#(other)}}"#,
            #""params":{"pod":{\#(own)}},\#(allocate),"params":{"pod":{\#(other)}}"#,
            #""params":{"pod":{\#(other)}},\#(allocate)"#,
            #""method":"GetPod","params":{"pod":{\#(other)}},\#(allocate)"#,
            #""method":"GetPod",\#(allocate),"params":{"pod":{\#(other)}}"#,
            #""method":"ListPods","params":{"nodeName":"n1","nodeN\u0061me":"n2"}"#,
            #""method":"GetNode","params":{"node":{"metadata":{"name":"n1"},"met\u0061data":{"name":"n2"}}}"#,
            #""method":"AllocateNodeCIDRs","params":{"node":{"metadata":{"name":"n1"}},"node":{"metadata":{"name":"n2"}}}"#,
            #""method":"Release","params":{"pod":{"metadata":{"name":"own"}},"serv\u0069ce":{"metadata":{"name":"s"}}}"#,
            #""method":"Release","params":{"pod":null,"node":{"metadata":{"name":"n2"}},"force":true}"#,
        ] {
            for text in ["{\(head),\(members)}", "{\(members),\(head)}"] {
                agent.begin(text + "\n")
                #expect(agent.receiveAnswer()?["error"]?["code"] == -32007, "\(members)")
            }
        }
        // Its own it has, in whatever order.
        for members in [
            #"\#(allocate),"params":{"pod":{\#(own)}}"#, #""params":{"pod":{\#(own)}},\#(allocate)"#,
            #"\#(allocate),"params":{"pod":{\#(other)},"pod":{\#(own)}}"#,
        ] {
            agent.begin("{\(head),\(members)}\n")
            #expect(agent.receiveAnswer()?["result"] != nil, "\(members)")
        }
        administrator.begin(
            call("ListPods", #"{"nodeName":"n2"}"#) + call("GetService", #"{"service":{"metadata":{"name":"s"}}}"#))
        #expect(administrator.receiveAnswer()?["result"]?["items"]?.arrayValue?.count == 1)
        #expect(administrator.receiveAnswer()?["result"] != nil)
        #expect(server.stop() == 0)
    }
}
