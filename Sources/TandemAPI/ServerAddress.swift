/// Where a server listens, as command lines and configuration files write it.
public struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or an IP address, the latter without brackets.
    public var host: String
    /// 1 to 65535.
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT`, `[IPv6]:PORT` or a host alone, which stands for port 8443, or either as `https://…`, where port 443 need not be
    /// written; nil where it is none of them.
    public init?(_ text: Substring) {
        var host = text
        var defaultPort = Self.defaultPort
        if host.hasPrefix("https://") {
            host = host.dropFirst("https://".count)
            if host.hasSuffix("/") { host = host.dropLast() }
            defaultPort = 443
        }
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
        guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "/" }),
            let number = port.map({ UInt16($0) }) ?? defaultPort, number > 0
        else { return nil }
        self.init(host: String(host), port: Int(number))
    }

    public var description: String { "\(host) port \(port)" }

    private static let defaultPort: UInt16 = 8443
}

/// Several servers of one range, of which any answers any call.
extension ServerAddress {
    /// The fault of a list, and its correction; a sentence without a full stop.
    public struct ListFault: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// How many servers a list may have.
    public static let maximumCount = 16

    /// Reads addresses with commas between, in the order in which they are to be tried; one that comes again is left out.
    public static func list(_ text: String) throws(ListFault) -> [ServerAddress] {
        try list(text.split(separator: ",", omittingEmptySubsequences: false))
    }

    /// The same of addresses that are apart already; there must be one at least.
    public static func list(_ texts: [Substring]) throws(ListFault) -> [ServerAddress] {
        guard (1...maximumCount).contains(texts.count) else {
            throw ListFault(description: "\(texts.count) servers are not 1 to \(maximumCount)")
        }
        var servers: [ServerAddress] = []
        for text in texts {
            guard let server = ServerAddress(text) else {
                throw ListFault(
                    description:
                        "\"\(text)\" is no HOST:PORT; write, for example, 127.0.0.1:8443 or [::1]:8443, several with commas between"
                )
            }
            if !servers.contains(server) { servers.append(server) }
        }
        return servers
    }
}
