/// Where a server listens, as command lines and configuration files write it.
public enum ServerAddress {
    /// Reads `HOST:PORT`, `[IPv6]:PORT` or a host alone, which stands for port 8443; nil where it is none of them.
    public static func parse(_ server: String) -> (host: String, port: Int)? {
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

    private static let defaultPort: UInt16 = 8443
}
