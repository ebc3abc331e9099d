import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("tandem-cni and answers that are larger than any should be, or not as they should be")
struct LargeAnswerTests {
    @Test("an answer of 60,000 members is read at once")
    func readsManyMembers() throws {
        let server = try AnsweringServer(
            #""result":{"pod":{"status":{"podIPs":[{"ip":"10.0.0.2"}]},"metadata":{MEMBERS}},"node":{"name":"n1","podCIDRs":["10.0.0.0/24"],"gateways":["10.0.0.1"]}}"#,
            members: 60_000)
        let answer = PluginProcess(port: server.port)("ADD", processorSeconds: 10)
        #expect(answer.addresses == ["10.0.0.2/24"], "\(answer.text)")
    }

    private static let good =
        #""result":{"pod":{"status":{"podIPs":[{"ip":"10.0.0.2"}]}},"node":{"name":"n1","podCIDRs":["10.0.0.0/24"],"gateways":["10.0.0.1"]}}"#

    @Test("an answer to another call is not passed on")
    func refusesOtherIDs() throws {
        let server = try AnsweringServer(Self.good, shiftingIDs: true)
        let answer = PluginProcess(port: server.port)("ADD")
        #expect(answer.code == 6 && answer.message.contains("that was not asked"), "\(answer.text)")
    }

    @Test("an address that was not asked for is not passed on")
    func refusesOtherAddresses() throws {
        let server = try AnsweringServer(Self.good)
        let plugin = PluginProcess(port: server.port)
        #expect(plugin("ADD", arguments: "IP=10.0.0.2").addresses == ["10.0.0.2/24"])
        let answer = plugin("ADD", arguments: "IP=10.0.0.3")
        #expect(answer.code == 6 && answer.message.contains("other addresses"), "\(answer.text)")
    }

    @Test("an answer without end is given up within the time, and takes little memory")
    func refusesEndless() throws {
        let server = try AnsweringServer(Self.good, members: -1)
        let plugin = PluginProcess(port: server.port, ipam: ["timeoutMs": 1_000])
        let result = Command.run(
            "sh",
            ["-c", "ulimit -v 400000; exec env \"$@\"", "sh"] + PluginProcess.environment("ADD", "c1")
                + [PluginProcess.program], input: plugin.configuration.text.description)
        let answer = try JSONValue(parsing: result.output)
        #expect(answer["code"] == 11, "\(result.output)")
    }

    @Test("an answer with two addresses of one family is not passed on")
    func refusesTwoOfAFamily() throws {
        let server = try AnsweringServer(
            #""result":{"pod":{"status":{"podIPs":[{"ip":"10.0.0.2"},{"ip":"10.0.0.3"}]}},"node":{"name":"n1","podCIDRs":["10.0.0.0/24"],"gateways":["10.0.0.1"]}}"#
        )
        let answer = PluginProcess(port: server.port)("ADD")
        #expect(answer.status != 0 && answer.addresses.isEmpty, "\(answer.text)")
    }
}
