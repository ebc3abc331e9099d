import TandemAPI
import TestSupport
import Testing

/// Objects of many members, and strings of many marks: each is worked off in a time that grows as its length, and has a limit
/// where a client sends it.
@Suite("Members and marks without end")
struct JSONMembersTests {
    private static func members(_ count: Int, _ name: (Int) -> String = { "k\($0)" }) -> String {
        (0..<count).map { "\"\(name($0))\":1" }.joined(separator: ",")
    }

    private func fault(_ params: String, method: String = "AllocateServiceIPs") -> APIError? {
        let text = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#
        guard case .single(let request) = Array(text.utf8).withUnsafeBytes({ RPCMessage(parsing: $0) }),
            case .failure(let error) = request.call
        else { return nil }
        return error
    }

    /// By looking through those before it, each of 200,000 members is compared with 100,000 others: minutes.
    @Test("200,000 members are read, looked up, merged and compared")
    func takesMany() throws {
        let seconds = try processorSeconds {
            let text = "{" + Self.members(200_000) + "}"
            let value = try JSONValue(parsing: text)
            #expect(value.objectValue?.members.count == 200_000)
            #expect(value["k199999"] == 1 && value["k200000"] == nil)
            #expect(value == (try JSONValue(parsing: text)))
            let nulls = try JSONValue(
                parsing: "{" + (0..<200_000).map { "\"k\($0)\":null" }.joined(separator: ",") + "}")
            #expect(value.merging(nulls) == [:])
            #expect(JSONValue.object(JSONObject()).merging(value) == value)
            let stored = try JSONReader.read(Array(text.utf8), isLimited: false) { reader throws(JSONError) in
                try Service(from: &reader)
            }
            #expect(stored.others.members.count == 200_000)
            #expect(stored.others["k7"]?.description == "1")
        }
        #expect(seconds < 60)
    }

    /// Each replaces the one before it; were those passed at each look, the last would cost 100,000.
    @Test(
        "one member 200,000 times, by values of one length and of two, and 32 megabytes of members, are read as others are"
    )
    func takesRepeats() throws {
        func others(_ text: String) throws -> [String] {
            let service = try JSONReader.read(Array(text.utf8), isLimited: false) { reader throws(JSONError) in
                try Service(from: &reader)
            }
            return service.others.members.map { "\($0.name) \($0.value.description.utf8.count)" }
        }
        let seconds = try processorSeconds {
            let big = String(repeating: "x", count: 1 << 20)
            let repeats = (0..<200_000).map { "\"a\":\($0 % 2 == 0 ? "1" : "11")" }.joined(separator: ",")
            let two = try others("{\"big\":\"\(big)\",\"b\":1,\(repeats),\"c\":2}")
            #expect(two == ["big \(big.utf8.count + 2)", "b 1", "a 2", "c 1"])
            let one = try others("{\(Self.members(200_000) { _ in "a" }),\"b\":1}")
            #expect(one == ["a 1", "b 1"])
            let long = (0..<128_000).map { "\"k\($0)\":\"\(big.prefix(240))\"" }.joined(separator: ",")
            let many = try others("{\(long)}")
            #expect(many.count == 128_000)
        }
        #expect(seconds < 60)
    }

    @Test("a patch keeps the order, and takes null out at every depth")
    func merges() throws {
        let base = try JSONValue(parsing: #"{"a":1,"b":{"c":2,"d":3},"e":4}"#)
        let patch = try JSONValue(parsing: #"{"f":{"g":null,"h":5},"e":null,"b":{"c":null,"i":6},"a":{"j":null}}"#)
        #expect(base.merging(patch).text.description == #"{"a":{},"b":{"d":3,"i":6},"f":{"h":5}}"#)
    }

    @Test("few or many, of two members with one name the later counts, one that is taken out is gone")
    func replaces() throws {
        for count in [1, 15, 16, 17, 18, 40] {
            var object = JSONObject()
            for round in 0..<2 {
                for index in 0..<count { object["k\(index)"] = .number(String(round * 1_000 + index)) }
            }
            #expect(object.members.map(\.name) == (0..<count).map { "k\($0)" })
            for index in stride(from: 0, to: count, by: 3) { object["k\(index)"] = nil }
            for index in 0..<count {
                #expect(object["k\(index)"]?.intValue == (index % 3 == 0 ? nil : 1_000 + index), "\(index) of \(count)")
            }
            object["new"] = "x"
            #expect(object.members.last?.name == "new" && object["new"] == "x")
        }
    }

    @Test("members kept as they came are a list of names and texts, whatever is done to it", arguments: seeds)
    func keepsMembers(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }
        for names in [3, 40] {
            var (members, twin) = (JSONMembers(), [(name: String, value: String)]())
            for _ in 0..<600 {
                let name = [#"n"#, "ü", "", "\u{1}", "name-"][number(0..<5)] + String(number(0..<names))
                let value = #""\#(String(repeating: "x", count: number(0..<4)))""#
                let place = twin.firstIndex { $0.name == name }
                if number(0..<4) == 0 {
                    members[name] = nil
                    if let place { twin.remove(at: place) }
                } else {
                    members[name] = JSONText(unchecked: Array(value.utf8))
                    if let place { twin[place].value = value } else { twin.append((name, value)) }
                }
                if number(0..<50) == 0 {
                    members.sort()
                    twin.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
                }
                if number(0..<200) == 0 { (members, twin) = (JSONMembers(), []) }
                #expect(members.members.map(\.name) == twin.map(\.name))
                #expect(members.members.map(\.value.description) == twin.map(\.value))
                #expect(members[name]?.description == twin.first { $0.name == name }?.value)
                #expect(members.count == twin.count && members.isEmpty == twin.isEmpty)
                var anew = JSONMembers()
                for (name, value) in twin { anew[name] = JSONText(unchecked: Array(value.utf8)) }
                #expect(members == anew && Set([members, anew]).count == 1)
                let text = twin.map { ",\(JSONValue.string($0.name).text):\($0.value)" }.joined()
                #expect(members.byteCount == text.utf8.count)
                let written = JSONWriter.text { writer in
                    writer.beginObject()
                    writer.members(members)
                    writer.endObject()
                }
                #expect(String(decoding: written, as: UTF8.self) == "{\(text.dropFirst())}")
            }
        }
    }

    @Test("past 4,096 members of one object the answer is -32602, and names the object and the limit")
    func limitsMembers() throws {
        let (most, many) = (Self.members(4_096), Self.members(40_000) { "member\($0)" })
        for (place, params) in [
            ("params.service", { #"{"service":{\#($0)}}"# }),
            ("params.service.metadata", { #"{"service":{"metadata":{\#($0)}}}"# }),
            ("params.service.metadata.labels", { #"{"service":{"metadata":{"name":"a","labels":{\#($0)}}}}"# }),
            (
                "params.service.spec.selector",
                { #"{"service":{"metadata":{"name":"a"},"spec":{"selector":{\#($0)}}}}"# }
            ),
            ("params.service.spec.ports[1]", { #"{"service":{"spec":{"ports":[{},{\#($0)}]}}}"# }),
            ("params.service.status.loadBalancer", { #"{"service":{"status":{"loadBalancer":{\#($0)}}}}"# }),
            ("params.service.x[1].y", { #"{"service":{"x":[0,{"y":{\#($0)}}]}}"# }),
        ] as [(String, (String) -> String)] {
            #expect(fault(params(most)) == nil, "\(place)")
            for text in [params(most + #","k":1"#), params(many)] {
                let error = fault(text)
                #expect(error?.code == -32602 && error?.status == .invalidArgument, "\(place)")
                #expect(error?.message == "\(place): an object has at most 4096 members")
            }
        }
        // Known ones count as well.
        let names = Array(repeating: #""name":"a""#, count: 4_097).joined(separator: ",")
        #expect(fault(#"{"service":{"metadata":{\#(names)}}}"#)?.message.hasPrefix("params.service.metadata: ") == true)
        let services = Array(repeating: #""service":{}"#, count: 4_097).joined(separator: ",")
        #expect(fault("{\(services)}")?.message == "params: an object has at most 4096 members")
    }

    @Test(
        "beside params it is no request; a text that is not JSON behind it is still -32700; a batch's other calls are made"
    )
    func limitsEnvelope() throws {
        let many = Self.members(4_097)
        func code(_ text: String) -> Int? {
            guard case .invalid(let error) = Array(text.utf8).withUnsafeBytes({ RPCMessage(parsing: $0) }) else {
                return nil
            }
            return error.code
        }
        #expect(code(#"{"jsonrpc":"2.0","id":1,"method":"GetPools",\#(many)}"#) == -32600)
        #expect(code(#"{"jsonrpc":"2.0","id":1,"method":"GetPools","x":{\#(many)}}"#) == -32600)
        #expect(code(#"{"jsonrpc":"2.0","id":1,"method":"GetPools","params":{\#(many)},"x":}"#) == -32700)
        let pools = #"{"jsonrpc":"2.0","id":1,"method":"GetPools"}"#
        let large = #"{"jsonrpc":"2.0","id":2,"method":"GetPod","params":{"pod":{"spec":{\#(many)}}}}"#
        let batch = Array("[\(pools),\(large),\(pools)]".utf8)
        guard case .batch(let requests) = batch.withUnsafeBytes({ RPCMessage(parsing: $0) }) else {
            Issue.record("no batch")
            return
        }
        #expect(requests.map { (try? $0.call.get()) == nil } == [false, true, false])
        #expect(requests.map { $0.id?.description } == ["1", "2", "1"])
    }

    /// Two orders of the same marks are the same text to Swift, which finds that out in a time that grows as their square:
    /// one comparison of 300,000 takes a minute.
    @Test("strings of 300,000 marks cost no more than others of their length")
    func bearsMarks() throws {
        let seconds = try processorSeconds {
            let marks = String(repeating: "\u{301}\u{316}", count: 150_000)
            let other = String(repeating: "\u{316}\u{301}", count: 150_000)
            let unknown = fault("{}", method: "a" + marks)
            #expect(unknown?.code == -32601)
            #expect((unknown?.message.utf8.count ?? 0) < 300)
            for text in [
                #"{"service":{"metadata":{"name":"a\#(marks)"}}}"#, #"{"service":{"a\#(marks)":1}}"#,
                #"{"service":{"metadata":{"name":"a\#(String(repeating: #"\u0301"#, count: 31))"}}}"#,
            ] {
                let error = fault(text)
                #expect(error?.code == -32602)
                #expect(error?.message.hasSuffix("more than 30 combining marks in a row") == true)
            }
            // So many are as good as any.
            #expect(fault(#"{"service":{"metadata":{"name":"a\#(marks.unicodeScalars.prefix(30))"}}}"#) == nil)
            // Members kept as text are not parsed.
            #expect(fault(#"{"service":{"metadata":{"name":"a","labels":{"a\#(marks)":"\#(other)"}}}}"#) == nil)
            let object = try JSONValue(parsing: #"{"a\#(marks)":1,"a\#(other)":"\#(other)"}"#)
            #expect(object.objectValue?.members.count == 2)
            #expect(object != (try JSONValue(parsing: #"{"a\#(marks)":1,"a\#(other)":"\#(marks)"}"#)))
        }
        #expect(seconds < 60)
    }
}
