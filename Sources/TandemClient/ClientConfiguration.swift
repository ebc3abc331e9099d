public import OpenSSLTLS

/// Where a server is, whom to trust, and who this client is.
public struct ClientConfiguration: Sendable {
    /// A host name or an IP address; the server's certificate must be made out to it.
    public var host: String
    public var port: Int
    public var caFile: String
    /// The client's certificate; nil for calls that need none.
    public var identity: TLSIdentity?

    public init(host: String, port: Int, caFile: String, identity: TLSIdentity? = nil) {
        self.host = host
        self.port = port
        self.caFile = caFile
        self.identity = identity
    }

    /// Reads `HOST:PORT`, `[IPv6]:PORT` or a host alone, which stands for port 8443; nil where it is none of them.
    public static func parse(server: String) -> (host: String, port: Int)? {
        var host = server[...]
        var port: Substring?
        if host.first == "[" {
            guard let end = host.firstIndex(of: "]") else { return nil }
            let rest = host[host.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
            host = host[host.index(after: host.startIndex)..<end]
        } else if host.filter({ $0 == ":" }).count == 1, let colon = host.firstIndex(of: ":") {
            port = host[host.index(after: colon)...]
            host = host[..<colon]
        }
        guard !host.isEmpty, let number = port.map({ UInt16($0) }) ?? defaultPort, number > 0 else { return nil }
        return (String(host), Int(number))
    }

    static let defaultPort: UInt16 = 8443
}
