import Addressing
import TandemAPI
import Testing

@Suite("Objects as they travel")
struct ObjectTests {
    @Test("members that address management does not use come back unchanged")
    func keepsWhatItDoesNotUse() throws {
        let text = #"""
            {"apiVersion":"v1","kind":"Service","metadata":{"namespace":"d","name":"a","labels":{"x":"1"},"annotations":{"n":"1.0"}},
            "spec":{"type":"ClusterIP","ports":[{"port":80,"targetPort":"http"}],"selector":{"app":"x"},"sessionAffinity":"None",
            "big":12345678901234567890.10},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]},"conditions":[]},"extra":[1, 2]}
            """#
        let asked = try JSONValue(parsing: text)
        let service = try JSONReader.read(Array(text.utf8)) { reader throws(JSONError) in try Service(from: &reader) }
        var writer = JSONWriter()
        service.write(to: &writer)
        #expect(try JSONValue(parsing: writer.bytes) == asked)
        #expect(!writer.bytes.contains(UInt8(ascii: "\n")))
    }

    @Test("null counts as absent, an empty policy does not")
    func readsNull() throws {
        let text =
            #"{"spec":{"type":null,"ipFamilies":null,"clusterIP":null,"clusterIPs":null,"ipFamilyPolicy":"","selector":null,"x":null}}"#
        let spec = try JSONReader.read(Array(text.utf8)) { reader throws(JSONError) in try Service(from: &reader) }.spec
        var expected = ServiceSpec()
        expected.ipFamilyPolicy = ""
        #expect(spec == expected)
    }

    @Test("podCIDR and podIP are the first of their lists, alone or with them, or refused")
    func readsSingularForms() throws {
        func node(_ spec: String) throws -> Node {
            try JSONReader.read(Array(#"{"metadata":{"name":"n"},"spec":\#(spec)}"#.utf8)) { reader throws(JSONError) in
                try Node(from: &reader)
            }
        }
        #expect(try node(#"{"podCIDR":"10.0.0.0/24"}"#).podCIDRs == ["10.0.0.0/24"])
        #expect(try node(#"{"podCIDR":"10.0.0.0/24","podCIDRs":["10.0.0.0/24","fd00::/64"]}"#).podCIDRs.count == 2)
        #expect(throws: JSONError.self) { try node(#"{"podCIDR":"10.0.0.0/24","podCIDRs":["10.0.1.0/24"]}"#) }
    }

    @Test("a merge patch gives the results of RFC 7386's own examples")
    func merges() throws {
        let examples = [
            (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
            (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
            (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
            (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
            (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#),
            (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#), (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#),
            (#"{"a":"foo"}"#, "null", "null"),
            (#"{"a":"foo"}"#, #""bar""#, #""bar""#), (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
            ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#),
            ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
        ]
        for (target, patch, result) in examples {
            #expect(try JSONValue(parsing: target).merging(JSONValue(parsing: patch)) == JSONValue(parsing: result))
        }
    }

    @Test("every method is in the OpenRPC document, with the members that decoding takes")
    func describesMethods() throws {
        let methods = try #require(OpenRPC.document["methods"]?.arrayValue)
        #expect(methods.compactMap { $0["name"]?.stringValue } == Method.allCases.map(\.rawValue))
        for (method, description) in zip(Method.allCases, methods) {
            let names = description["params"]?.arrayValue?.compactMap { $0["name"]?.stringValue }
            #expect(names == (method.required + method.optional).map(\.rawValue))
        }
    }
}
