import ServerSupport
import Testing

@Suite("tandem-cni and answers that are larger than any should be, or not as they should be")
struct LargeAnswerTests {
    @Test("an answer of 60,000 members is read at once", .timeLimit(.minutes(2)))
    func readsManyMembers() throws {
        let server = try AnsweringServer(
            #""result":{"pod":{"status":{"podIPs":[{"ip":"10.0.0.2"}]},"metadata":{MEMBERS}},"node":{"name":"n1","podCIDRs":["10.0.0.0/24"],"gateways":["10.0.0.1"]}}"#,
            members: 60_000)
        let answer = PluginProcess(port: server.port)("ADD")
        #expect(answer.addresses == ["10.0.0.2/24"], "\(answer.text)")
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
