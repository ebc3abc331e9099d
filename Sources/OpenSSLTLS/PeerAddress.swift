import Glibc
public import NIOCore

/// One of the addresses of a host, with the name that the certificate of its server must have.
public struct PeerAddress: Sendable, Hashable, CustomStringConvertible {
    /// As it was given: a name, or an IP address.
    public let host: String
    public let address: SocketAddress

    /// An IP address alone; nil for a name.
    public init?(ipAddress host: String, port: Int) {
        guard let address = try? SocketAddress(ipAddress: host, port: port) else { return nil }
        self.init(host, address)
    }

    init(_ host: String, _ address: SocketAddress) {
        self.host = host
        self.address = address
    }

    /// The host and the port; and the address, where the host is a name.
    public var description: String {
        let ip = address.ipAddress ?? ""
        return "\(host) port \(address.port ?? 0)" + (ip == host ? "" : " (\(ip))")
    }

    /// Every address that a host has, each once, in the order in which the system would try them; at least one.
    ///
    /// Blocks: a name is looked up in the system's way, which knows no deadline.
    public static func all(of host: String, port: Int) throws(NotFound) -> [PeerAddress] {
        if let peer = PeerAddress(ipAddress: host, port: port) { return [peer] }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else { throw NotFound(description: String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(list) }
        var peers: [PeerAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = socketAddress(entry) {
                let peer = PeerAddress(host, address)
                if !peers.contains(peer) { peers.append(peer) }
            }
            next = entry.ai_next
        }
        guard !peers.isEmpty else { throw NotFound(description: "it has no address") }
        return peers
    }

    /// Why a host has no address; a sentence without a full stop, or the system's words.
    public struct NotFound: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    private static func socketAddress(_ entry: addrinfo) -> SocketAddress? {
        // Proof: for either family getaddrinfo gives an address of that family's whole structure.
        switch entry.ai_family {
        case AF_INET:
            entry.ai_addr.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { SocketAddress($0.pointee) }
        case AF_INET6:
            entry.ai_addr.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { SocketAddress($0.pointee) }
        default: nil
        }
    }
}
