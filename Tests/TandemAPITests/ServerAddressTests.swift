import TandemAPI
import Testing

@Suite("Where servers are")
struct ServerAddressTests {
    @Test(
        "a host with a port, or alone",
        arguments: [
            ("a:1", "a", 1), ("a", "a", 8443), ("[::1]:443", "::1", 443), ("[::1]", "::1", 8443), ("::1", "::1", 8443),
            ("127.0.0.1:65535", "127.0.0.1", 65_535),
        ])
    func reads(_ text: String, _ host: String, _ port: Int) throws {
        #expect(ServerAddress(text[...]) == ServerAddress(host: host, port: port))
    }

    @Test(
        "one of several that is none is named", arguments: ["", "a:", ":1", "a:0", "a:65536", "[::1", "[::1]1", "a b"])
    func names(_ text: String) {
        let error = #expect(throws: ServerAddress.ListFault.self) { try ServerAddress.list("a,\(text),b") }
        #expect(error?.description.hasPrefix("\"\(text)\" is no HOST:PORT; write") == true)
    }

    @Test("several stay in their order; one that comes again is left out; there may be 16")
    func lists() throws {
        #expect(
            try ServerAddress.list("b:1,a,b:1,a:8443,b").map(\.description) == [
                "b port 1", "a port 8443", "b port 8443",
            ])
        let many = (1...17).map { "a:\($0)"[...] }
        #expect(try ServerAddress.list(Array(many.dropLast())).count == 16)
        #expect(throws: ServerAddress.ListFault.self) { try ServerAddress.list(many) }
        #expect(throws: ServerAddress.ListFault.self) { try ServerAddress.list([Substring]()) }
    }
}
