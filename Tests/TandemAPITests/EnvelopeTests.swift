import TandemAPI
import Testing

/// The JSON-RPC 2.0 specification's rules for requests, notifications, batches and ids.
@Suite("JSON-RPC envelope")
struct EnvelopeTests {
    private func parse(_ text: String) -> RPCMessage {
        Array(text.utf8).withUnsafeBytes { RPCMessage(parsing: $0) }
    }

    private func single(_ text: String) throws -> RPCRequest {
        guard case .single(let request) = parse(text) else { throw Mismatch() }
        return request
    }

    private struct Mismatch: Error {}

    private func code(_ request: RPCRequest) -> Int? {
        if case .failure(let error) = request.call { error.code } else { nil }
    }

    @Test(
        "ids are echoed exactly",
        arguments: ["1", "-1", "1.0", "1e2", "\"a\"", #""\u0041\n""#, "null", "12345678901234567890123"])
    func echoesIDs(_ id: String) throws {
        let request = try single(#"{"jsonrpc":"2.0","id":\#(id),"method":"GetPools"}"#)
        #expect(request.id?.description == id)
        #expect(code(request) == nil)
        let reply = RPCReply(id: request.id, .success(.released([])))
        #expect(
            String(decoding: reply.bytes, as: UTF8.self) == #"{"jsonrpc":"2.0","id":\#(id),"result":{"released":[]}}"#)
    }

    /// Params behind the method's name are decoded on the way, all others by themselves: both must come to the same.
    @Test(
        "the order of a request's members changes nothing",
        arguments: [
            #"{"service":{"metadata":{"name":"a","labels":{"x":["y",1]}},"spec":{"ipFamilies":["IPv6"]}},"dryRun":true}"#,
            #"{"service":{"metadata":{"name":"a"}},"timeoutMs":5}"#, #"{"service":{"kind":"Pod"}}"#,
            #"{"service":{"metadata":{"name":7}}}"#, #"{"servce":{}}"#, "{}", "[]", "7", #"{"service":null}"#,
            #"{"service":{"spec":{"ipFamilies":["IPv4",{}]}}}"#, #"{"service":{"metadata":{"name":"\ud800"}}}"#,
        ])
    func takesMembersInAnyOrder(_ params: String) throws {
        let members = [#""jsonrpc":"2.0""#, #""id":1"#, #""method":"AllocateServiceIPs""#, #""params":\#(params)"#]
        func outcome(_ order: [Int]) -> String {
            let text = "{" + order.map { members[$0] }.joined(separator: ",") + "}"
            var outcome = ""
            switch parse(text) {
            case .single(let request):
                outcome = request.id?.description ?? "no id"
                switch request.call {
                case .success(let call): dump(call, to: &outcome)
                case .failure(let error): outcome += "\(error.code) \(error.message)"
                }
            case .batch: outcome = "a batch"
            // The place where a text breaks off depends on the text before it.
            case .invalid(let error): outcome = "\(error.code)"
            }
            return outcome
        }
        let first = outcome([0, 1, 2, 3])
        for order in [[3, 2, 1, 0], [2, 3, 0, 1], [3, 0, 2, 1], [1, 3, 2, 0]] {
            #expect(outcome(order) == first, "\(order)")
        }
    }

    @Test("of a member that comes twice the later one counts")
    func takesTheLastOfTwo() throws {
        let request = try single(
            #"{"jsonrpc":"2.0","id":1,"method":"GetPools","params":{"x":1},"method":"GetService","params":{"service":{"metadata":{"name":"a"}}},"method":"GetPools","params":{}}"#
        )
        guard case .success(let call) = request.call else { throw Mismatch() }
        #expect(call.method == .getPools)
        // Decoded for one method, it says nothing of the next.
        let renamed = try single(
            #"{"jsonrpc":"2.0","id":1,"method":"GetService","params":{"service":{"metadata":{"name":"a"}}},"method":"GetPools"}"#
        )
        #expect(code(renamed) == -32602)
    }

    @Test("a request without an id is a notification, even if it can't be understood further on")
    func knowsNotifications() throws {
        #expect(try single(#"{"jsonrpc":"2.0","method":"GetPools"}"#).id == nil)
        let unknown = try single(#"{"jsonrpc":"2.0","method":"Nothing"}"#)
        #expect(unknown.id == nil)
        #expect(code(unknown) == -32601)
    }

    @Test(
        "an invalid request is answered with -32600 and the id, or null",
        arguments: [
            ("1", "null"), ("\"x\"", "null"), ("null", "null"), ("{}", "null"),
            (#"{"jsonrpc":"2.0","method":1,"id":7}"#, "7"),
            (#"{"jsonrpc":"1.0","method":"GetPools","id":7}"#, "7"), (#"{"method":"GetPools","id":"a"}"#, "\"a\""),
            (#"{"jsonrpc":"2.0","method":"GetPools","id":{}}"#, "null"),
            (#"{"jsonrpc":"2.0","method":"GetPools","id":true}"#, "null"),
            (#"{"jsonrpc":"2.0","method":"GetPools","id":[1]}"#, "null"),
            (#"{"jsonrpc":"2.0","method":"GetPools","params":1,"id":1}"#, "1"),
            (#"{"jsonrpc":"2.0","method":"GetPools","params":null,"id":1}"#, "1"),
            (#"{"jsonrpc":2.0,"method":"GetPools","id":1}"#, "1"),
        ])
    func refusesNonRequests(_ text: String, _ id: String) throws {
        let request = try single(text)
        #expect(code(request) == -32600)
        #expect(request.id?.description == id)
    }

    @Test("an unknown method is -32601, wrong params are -32602 and name the member")
    func namesWrongParams() throws {
        #expect(code(try single(#"{"jsonrpc":"2.0","id":1,"method":"nope","params":{}}"#)) == -32601)
        let cases = [
            (#"[1]"#, "params"), (#"{"servise":{}}"#, "servise"), (#"{}"#, "params.service"),
            (#"{"service":1}"#, "params.service"),
            (#"{"service":{"metadata":{"name":5}}}"#, "params.service.metadata.name"),
            (#"{"service":{"spec":{"ipFamilies":"IPv4"}}}"#, "params.service.spec.ipFamilies"),
            (#"{"service":{"spec":{"ipFamilies":["IPv4",6]}}}"#, "params.service.spec.ipFamilies[1]"),
            (#"{"service":{},"timeoutMs":0}"#, "params.timeoutMs"),
            (#"{"service":{},"timeoutMs":600001}"#, "params.timeoutMs"),
            (#"{"service":{},"dryRun":"yes"}"#, "params.dryRun"),
            (#"{"service":{"kind":"Pod"}}"#, "params.service.kind"),
            (#"{"service":{},"limit":3}"#, "limit"),
        ]
        for (params, member) in cases {
            let request = try single(#"{"jsonrpc":"2.0","id":1,"method":"AllocateServiceIPs","params":\#(params)}"#)
            guard case .failure(let error) = request.call else {
                Issue.record("\(params) was taken")
                continue
            }
            #expect(error.code == -32602)
            #expect(error.message.contains(member), "\(error.message)")
        }
    }

    @Test("a release names exactly one thing")
    func releasesOneThing() throws {
        for (params, isRight) in [
            (#"{"service":{"metadata":{"name":"a"}}}"#, true), (#"{"attachment":{"containerID":"c"}}"#, true),
            ("{}", false),
            (#"{"service":{"metadata":{"name":"a"}},"pod":{"metadata":{"name":"a"}}}"#, false),
            (#"{"node":{"metadata":{"name":"n"}},"force":true}"#, true),
            (#"{"pod":{"metadata":{"name":"n"}},"force":true}"#, false),
            (#"{"attachment":{"ifName":"eth0"}}"#, false), (#"{"attachment":{"containerID":"c","extra":1}}"#, false),
        ] {
            let request = try single(#"{"jsonrpc":"2.0","id":1,"method":"Release","params":\#(params)}"#)
            #expect((code(request) == nil) == isRight, "\(params)")
        }
    }

    @Test("a batch is answered in its order; an empty or too large one is an error")
    func parsesBatches() throws {
        guard
            case .batch(let requests) = parse(
                #"[{"jsonrpc":"2.0","id":1,"method":"GetPools"},1,{"jsonrpc":"2.0","method":"GetPools"}]"#)
        else { throw Mismatch() }
        #expect(requests.map { $0.id?.description } == ["1", "null", nil])
        #expect(requests.map(code) == [nil, -32600, nil])
        guard case .invalid(let empty) = parse(" [ ] ") else { throw Mismatch() }
        #expect(empty.code == -32600)
        let call = #"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#
        let full = Array(repeating: call, count: RPCMessage.maximumBatch).joined(separator: ",")
        guard case .batch = parse("[\(full)]") else { throw Mismatch() }
        guard case .invalid(let large) = parse("[\(full),\(call)]") else { throw Mismatch() }
        #expect(large.status == .resourceExhausted)
    }

    @Test(
        "a text that is not JSON is -32700, whatever of it looked like calls",
        arguments: [
            "", "{", #"{"jsonrpc":"2.0","id":1,"method":"GetPools"} x"#,
            #"[{"jsonrpc":"2.0","id":1,"method":"GetPools"},]"#,
        ])
    func refusesWhatIsNotJSON(_ text: String) throws {
        guard case .invalid(let error) = parse(text) else { throw Mismatch() }
        #expect(error.code == -32700)
    }

    @Test("an error's data says status, reason and causes; codes are -32000 - N")
    func writesErrors() throws {
        let error = APIError.invalid(
            .service, name: "a", [.init("spec.ipFamilies[0]", .invalid, "no \"such\" family")])
        let reply = try JSONValue(parsing: RPCReply(id: nil, .failure(error)).bytes)
        #expect(reply["error"]?["code"] == -32003)
        #expect(reply["error"]?["data"]?["status"] == "INVALID_ARGUMENT")
        #expect(reply["error"]?["data"]?["causes"]?.arrayValue?.first?["reason"] == "FieldValueInvalid")
        #expect(APIError.Status.allCases.allSatisfy { $0.code == -32000 - $0.rawValue })
    }
}
