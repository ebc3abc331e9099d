import Glibc

/// Ports of loopback that were free a moment ago, no two the same.
public struct FreePorts {
    public private(set) var numbers: [Int] = []

    public init(_ count: Int) {
        var sockets: [Int32] = []
        for _ in 0..<count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            // Proof: the pointers live as long as the calls, and the sizes are those of their targets.
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    _ = bind(descriptor, generic, length)
                    _ = getsockname(descriptor, generic, &length)
                }
            }
            numbers.append(Int(UInt16(bigEndian: address.sin_port)))
            sockets.append(descriptor)
        }
        // Only now, so that none is given out twice.
        for descriptor in sockets { close(descriptor) }
    }
}
