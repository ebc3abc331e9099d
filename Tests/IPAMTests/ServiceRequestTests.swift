import FaultyLog
import Ledger
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("The identity of a Service's retry")
struct ServiceRequestTests {
    private func means(_ left: String, _ right: String) -> Bool {
        StoredRequest(text: Array(left.utf8)).means(Array(right.utf8))
    }

    @Test(
        "texts that mean the same are the same request",
        arguments: [
            (#"{"a":1,"b":{"c":[1,2],"d":"x"}}"#, #"{"b":{"d":"x","c":[1,2]},"a":1}"#),
            (#"{"a":1}"#, #"{ "a" : 1.0 }"#), (#"{"a":100}"#, #"{"a":1e2}"#), (#"{"a":0.5}"#, #"{"a":5E-1}"#),
            (#"{"a":-0}"#, #"{"a":0.000}"#), (#"{"a":"\u0041/"}"#, #"{"a":"A\/"}"#), (#"{"\u0061":1}"#, #"{"a":1}"#),
            (#"{"a":[{"x":1,"y":2}]}"#, #"{"a":[{"y":2,"x":1}]}"#), (#"{"a":1,"a":2}"#, #"{"a":2}"#),
            (#"{"a":1e400}"#, #"{"a":10e399}"#),
            (#"{"a":123456789012345678901234567890}"#, #"{"a":12345678901234567890123456789e1}"#),
        ])
    func knows(_ left: String, _ right: String) {
        #expect(means(left, right))
        #expect(means(right, left))
    }

    @Test(
        "others are not",
        arguments: [
            (#"{"a":1}"#, #"{"a":2}"#), (#"{"a":1}"#, #"{"a":"1"}"#), (#"{"a":1}"#, #"{"b":1}"#),
            (#"{"a":[1,2]}"#, #"{"a":[2,1]}"#),
            (#"{"a":{"b":1},"c":2}"#, #"{"a":{"b":1,"c":2}}"#), (#"{"a":null}"#, #"{}"#), (#"{"a":1}"#, #"{"a":-1}"#),
            (#"{"a":10}"#, #"{"a":1}"#), (#"{"a":0.1}"#, #"{"a":1}"#), (#"{"a":"b\",\"c"}"#, #"{"a":"b","c":""}"#),
            (#"{"a":true}"#, #"{"a":"true"}"#),
            (#"{"a":1e99999999999999999999}"#, #"{"a":1e99999999999999999998}"#),
            (#"{"a":10e9223372036854775807}"#, #"{"a":-10e9223372036854775807}"#),
        ])
    func tellsApart(_ left: String, _ right: String) {
        #expect(!means(left, right))
    }

    @Test("the hash is SHA-256 of the canonical text")
    func isSHA256() {
        // printf '{"a":1e0}' | sha256sum
        #expect(CanonicalHash(of: Array(#"{"a":1}"#.utf8)).description == "533e2d9500a389f8abf32f851e66f98f")
    }

    @Test(
        "10,000 calls that name a Service whose stored request is large cost their own length each, not its")
    func comparesOnce() async throws {
        let harness = try EngineHarness(FaultyLog())
        func members(_ count: Int) -> JSONValue {
            var ports = JSONObject()
            for index in 0..<count { ports["member-\(index)"] = .string(String(repeating: "x", count: 100)) }
            return .object(ports)
        }
        let large: JSONValue = ["service": ["metadata": ["name": "web"], "spec": ["x": members(400)]]]
        _ = try await harness.call(.allocateServiceIPs, large).get()
        let small: JSONValue = ["service": ["metadata": ["name": "web"], "spec": ["x": members(3)]]]
        for _ in 0..<10_000 {
            #expect((await harness.call(.allocateServiceIPs, small)).error?.status == .alreadyExists)
        }
        harness.stop()
    }
}
