import NIOCore

/// Where a member answers its clients.
public struct EtcdMember: Sendable, Hashable, CustomStringConvertible {
    public let isSecure: Bool
    /// A name or an address; without the brackets of IPv6. The member's certificate must be made out to it.
    public let host: String
    public let port: Int

    private static let defaultPort = 2_379

    init(parsing text: Substring) throws(EtcdConfigurationError) {
        func fault(_ why: String) -> EtcdConfigurationError {
            EtcdConfigurationError(.servers, "\"\(text.prefix(256))\" \(why)")
        }
        var rest = text
        if text.hasPrefix("https://") {
            isSecure = true
            rest = text.dropFirst("https://".count)
        } else if text.hasPrefix("http://") {
            isSecure = false
            rest = text.dropFirst("http://".count)
        } else {
            throw fault("must begin with https:// (or http://, on loopback)")
        }
        var port: Substring?
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]"), Self.isIPv6(rest[rest.index(after: rest.startIndex)..<end]) else {
                throw fault("has no IPv6 address in its brackets")
            }
            let behind = rest[rest.index(after: end)...]
            guard behind.isEmpty || behind.first == ":" else {
                throw fault("has something else than a port at its end")
            }
            port = behind.isEmpty ? nil : behind.dropFirst()
            host = String(rest[rest.index(after: rest.startIndex)..<end])
        } else {
            let colon = rest.firstIndex(of: ":") ?? rest.endIndex
            port = colon == rest.endIndex ? nil : rest[rest.index(after: colon)...]
            host = String(rest[..<colon])
            guard !host.isEmpty, host.utf8.allSatisfy(Self.isOfName) else {
                throw fault("has no name or address of a host")
            }
        }
        guard let number = port.map({ UInt16($0) }) ?? UInt16(Self.defaultPort), number > 0 else {
            throw fault("has something else than a port at its end")
        }
        self.port = Int(number)
        guard isSecure || isLoopback else {
            throw fault("must be https, as only members on loopback may be spoken to in the clear")
        }
    }

    /// The host and port as HTTP writes them.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    var scheme: String { isSecure ? "https" : "http" }
    public var description: String { "\(scheme)://\(authority)" }

    private var isLoopback: Bool {
        if host == "localhost" { return true }
        switch try? SocketAddress(ipAddress: host, port: port) {
        case .v4: return host.hasPrefix("127.")
        case .v6: return host == "::1"
        default: return false
        }
    }

    private static func isIPv6(_ text: Substring) -> Bool {
        guard case .v6 = try? SocketAddress(ipAddress: String(text), port: 0) else { return false }
        return true
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
