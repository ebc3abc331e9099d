import TandemAPI

/// The URL of an API server: `https://HOST[:PORT][/PATH]`.
struct ServerURL: Sendable, Hashable, CustomStringConvertible {
    let host: String
    let port: Int
    /// Put before each path, without a slash at its end; empty for most.
    let prefix: String

    init(host: String, port: Int, prefix: String = "") {
        self.host = host
        self.port = port
        self.prefix = prefix
    }

    /// nil where it is none.
    init?(_ text: String) {
        let scheme = "https://"
        guard text.hasPrefix(scheme) else { return nil }
        let rest = text.dropFirst(scheme.count)
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        guard let address = ServerAddress(scheme + rest[..<end]),
            !rest[end...].contains(where: { $0.isWhitespace || $0 == "?" || $0 == "#" })
        else { return nil }
        var prefix = rest[end...]
        while prefix.last == "/" { prefix = prefix.dropLast() }
        self.init(host: address.host, port: address.port, prefix: String(prefix))
    }

    /// For the header `Host`.
    var authority: String { (host.contains(":") ? "[\(host)]" : host) + (port == 443 ? "" : ":\(port)") }

    var description: String { "https://" + (host.contains(":") ? "[\(host)]" : host) + ":\(port)\(prefix)" }
}
