import Addressing
import Glibc
import LineFraming
import NIOCore

extension FuzzTarget {
    /// The same lines, however the bytes are cut: as a slow twin finds them in all of the bytes at once.
    static func lines(_ input: UnsafeRawBufferPointer) {
        let maximum = 32
        guard let step = input.first.map({ Int($0) % 7 + 1 }) else { return }
        let bytes = Array(input.dropFirst())
        var buffer = LineBuffer(maximumBytes: maximum)
        var found: [[UInt8]?] = []
        for start in stride(from: 0, to: bytes.count, by: step) {
            buffer.append(ByteBuffer(bytes: bytes[start..<min(start + step, bytes.count)]))
            take: while true {
                switch buffer.next() {
                case .none: break take
                case .line(let line): found.append(Array(line.readableBytesView))
                case .tooLong: found.append(nil)
                }
            }
        }
        precondition(found == slowLines(of: bytes, maximum), "lines are cut in another way")
    }

    /// nil for one that is too long, behind which nothing is read.
    private static func slowLines(of bytes: [UInt8], _ maximum: Int) -> [[UInt8]?] {
        var lines: [[UInt8]?] = []
        var line: [UInt8] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                if !line.isEmpty { lines.append(line) }
                line = []
            } else {
                line.append(byte)
                if line.count > maximum { return lines + [nil] }
            }
        }
        return lines
    }

    /// Text read as an address is the address that the C library reads there, and is written in a form that is read as the same again.
    static func address(_ input: UnsafeRawBufferPointer) {
        let text = String(decoding: input, as: UTF8.self)
        if let address = IPAddress(utf8: input) {
            precondition(IPAddress(address.description) == address, "an address is written as another")
            // An IPv4 address in IPv6's clothes is the IPv4 address here.
            let mapped = address.family == .ipv4 && text.contains(":")
            let bits = mapped ? 0xFFFF << 32 | address.bits : address.bits
            precondition(
                twin(text, mapped ? .ipv6 : address.family) == bits,
                "the C library does not read \(text.debugDescription) as \(address)")
        } else {
            precondition(
                twin(text, .ipv4) == nil || text.contains("\0"), "the C library reads an IPv4 address")
        }
        if let cidr = CIDR(text) {
            precondition(CIDR(cidr.description) == cidr, "a range is written as another")
            precondition(cidr.contains(cidr.network), "a range without its first address")
        }
    }

    private static func twin(_ text: String, _ family: IPFamily) -> UInt128? {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard inet_pton(family == .ipv4 ? AF_INET : AF_INET6, text, &bytes) == 1 else { return nil }
        return bytes[..<(family == .ipv4 ? 4 : 16)].reduce(0) { $0 << 8 | UInt128($1) }
    }
}
