import TandemAPI
import Testing

/// A call without the right to make it is refused before its params are decoded.
@Suite("Calls that are not admitted")
struct AdmissionTests {
    private static let refusal = APIError(.unauthenticated, reason: "Unauthorized", "no")

    private func parse(_ text: String, _ admit: RPCMessage.Admission) -> RPCMessage {
        Array(text.utf8).withUnsafeBytes { RPCMessage(parsing: $0, admitting: admit) }
    }

    private func outcome(_ text: String, _ admit: RPCMessage.Admission = { _, _ throws(APIError) in throw refusal })
        -> Int?
    {
        switch parse(text, admit) {
        case .single(let request): request.call.failure?.code
        case .batch(let requests): requests.first?.call.failure?.code
        case .invalid(let error): error.code
        }
    }

    @Test(
        "a refusal comes before every fault of the params, and behind those of the envelope",
        arguments: [
            (#""method":"AllocateServiceIPs","params":{"service":{"metadata":{"name":7}}}"#, -32016),
            (#""params":{"service":{"metadata":{"name":7}}},"method":"AllocateServiceIPs""#, -32016),
            (#""method":"AllocateServiceIPs","params":{"servise":{}}"#, -32016),
            (#""method":"AllocateServiceIPs","params":[1]"#, -32016), (#""method":"AllocateServiceIPs""#, -32016),
            (#""method":"AllocateServiceIPs","params":{},"params":{"service":{}}"#, -32016),
            (#""method":"nope","params":{}"#, -32601), (#""method":"nope","params":[]"#, -32601),
            (#""method":"AllocateServiceIPs","params":7"#, -32600), (#""method":7,"params":{}"#, -32600),
            (#""method":"AllocateServiceIPs","params":{"service":}"#, -32700),
            (#""method":"AllocateServiceIPs","params":{"service":"\ud800"}"#, -32700),
        ])
    func ordersFaults(_ members: String, _ code: Int) {
        #expect(outcome(#"{"jsonrpc":"2.0","id":1,\#(members)}"#) == code)
        #expect(outcome(#"[{"jsonrpc":"2.0","id":1,\#(members)}]"#) == code)
    }

    @Test("of a method that comes twice the later one is judged")
    func judgesTheLastMethod() {
        let onlyPools: RPCMessage.Admission = { method, _ throws(APIError) in
            if method != .getPools { throw Self.refusal }
        }
        let service = #""params":{"service":{"metadata":{"name":"a"}}}"#
        #expect(
            outcome(#"{"jsonrpc":"2.0","id":1,"method":"GetPools","params":{},"method":"GetService"}"#, onlyPools)
                == -32016)
        #expect(
            outcome(#"{"jsonrpc":"2.0","id":1,"method":"GetPools","method":"GetService",\#(service)}"#, onlyPools)
                == -32016)
        #expect(
            outcome(
                #"{"jsonrpc":"2.0","id":1,"method":"GetService",\#(service),"method":"GetPools","params":{}}"#,
                onlyPools)
                == nil)
        #expect(
            outcome(#"{"jsonrpc":"2.0","id":1,"method":"GetService",\#(service),"method":"GetPools"}"#, onlyPools)
                == -32602)
    }

    /// The scanned and the decoded member, each as text.
    private func targets(_ method: String, _ params: String) -> (scanned: CallTarget?, decoded: CallTarget?) {
        var scanned: [CallTarget] = []
        var decoded: [CallTarget?] = []
        for members in [#""method":"\#(method)","params":\#(params)"#, #""params":\#(params),"method":"\#(method)""#] {
            let message = parse(#"{"jsonrpc":"2.0","id":1,\#(members)}"#) { _, target in scanned.append(target()) }
            guard case .single(let request) = message else { return (nil, nil) }
            decoded.append(try? request.call.get().target)
        }
        // Whatever comes first of the two, it is the same. A call that can't be decoded is judged twice.
        #expect(Set(scanned.map { "\($0)" }).count == 1 && decoded.count == 2 && decoded[0] == decoded[1], "\(params)")
        return (scanned.first, decoded.first ?? nil)
    }

    @Test("the scan finds the same member as decoding, however it is written")
    func scansWhatIsDecoded() {
        for (method, params, node) in [
            ("AllocatePodIPs", #"{"pod":{"metadata":{"name":"p"},"spec":{"nodeName":"n1"}}}"#, "n1"),
            (
                "AllocatePodIPs", #"{"pod":{"x":{"nodeName":"n2"},"spec":{"y":{"nodeName":"n2"},"nodeName":"n1"}}}"#,
                "n1"
            ),
            ("AllocatePodIPs", #"{"pod":{"spec":{"nodeName":"n2","nod\u0065Name":"n1"}}}"#, "n1"),
            ("AllocatePodIPs", #"{"p\u006fd":{"\u0073pec":{"\u006eodeName":"n\u0031"}}}"#, "n1"),
            ("AllocatePodIPs", #"{"pod":{"spec":{"nodeName":"n1"}},"pod":{"spec":{"nodeName":"n2"}}}"#, "n2"),
            ("AllocatePodIPs", #"{"pod":{"spec":{"nodeName":"n1"},"spec":{"nodeName":"n2"}}}"#, "n2"),
            ("AllocatePodIPs", #"{"pod":{"spec":{"nodeName":"n1"}},"pod":null}"#, "n1"),
            ("AllocatePodIPs", #"{"pod":{"spec":{"nodeName":"n1"},"spec":null}}"#, "n1"),
            ("AllocateNodeCIDRs", #"{"node":{"metadata":{"name":"n1","name":"n2"}}}"#, "n2"),
            ("GetNode", #"{"node":{"metadata":{"labels":{"name":"n2"},"name":"n1"},"name":"n2"}}"#, "n1"),
            ("ListPods", #"{"namespace":"n2","nodeName":"n1"}"#, "n1"),
            ("ListPods", #"{"nodeName":"n2","nodeN\u0061me":"n1"}"#, "n1"), ("ListPods", "{}", nil),
            ("ListPods", #"{"nodeName":"n1","nodeName":null}"#, "n1"),
        ] as [(String, String, String?)] {
            let (scanned, decoded) = targets(method, params)
            #expect(scanned == CallTarget(nodeName: node), "\(params)")
            #expect(decoded == scanned, "\(params)")
        }
        for (params, kind) in [
            (#"{"service":{"metadata":{"name":"a"}}}"#, .service), (#"{"pod":{"metadata":{"name":"a"}}}"#, .pod),
            (#"{"attachm\u0065nt":{"containerID":"c"},"pod":null}"#, .attachment),
            (#"{"node":{"metadata":{"name":"n"}},"force":true}"#, .node),
        ] as [(String, KindSet)] {
            let (scanned, decoded) = targets("Release", params)
            #expect(scanned == CallTarget(released: kind), "\(params)")
            #expect(decoded == scanned, "\(params)")
        }
    }

    /// Where the two may differ, it is the decoded one that the second check is about.
    @Test(
        "scan and decoding may differ where a member comes twice; a scan of invalid text finds nothing"
    )
    func differs() {
        let (scanned, decoded) = targets("AllocatePodIPs", #"{"pod":{"spec":{"nodeName":"n1"}},"pod":{"spec":{}}}"#)
        #expect(scanned?.nodeName == "n1" && decoded?.nodeName == "")
        for params in [
            "{}", #"{"pod":7}"#, #"{"pod":{"spec":[{"nodeName":"n1"}]}}"#, #"{"pod":{"spec":{"nodeName":["n1"]}}}"#,
            #"{"pod":{"spec":{"nodeName":"n1","nodeName":7}}}"#, #"{"nodeName":"n1"}"#, #"{"pod":{"nodeName":"n1"}}"#,
        ] {
            #expect(targets("AllocatePodIPs", params).scanned?.nodeName == nil, "\(params)")
        }
        let several = targets("Release", #"{"pod":{"metadata":{"name":"a"}},"service":{"metadata":{"name":"a"}}}"#)
        #expect(several.scanned?.released == [.pod, .service] && several.decoded == nil)
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
