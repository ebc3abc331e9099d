import NIOCore
import TandemServer

extension FuzzTarget {
    /// Requests are the same wherever their bytes are cut, nothing comes behind a fault, a body is as long as it says, and little is
    /// kept of an incomplete request. The first byte says where the bytes are cut, and whether their end is repeated many times.
    static func http(_ input: UnsafeRawBufferPointer) {
        guard let first = input.first else { return }
        var bytes = Array(input.dropFirst())
        var cut = Int(first & 0x7F) + 1
        if first & 0x80 != 0, !bytes.isEmpty {
            let end = bytes.suffix(cut)
            while bytes.count < 24 << 10 { bytes += end }
            cut += 512
        }
        precondition(said(bytes, cut: cut) == said(bytes, cut: .max), "a request is another where it is cut")
    }

    private enum Said: Equatable {
        case request(HTTPRequest)
        case body([UInt8])
        case end
        case fault(HTTPFault)
    }

    private static func said(_ bytes: [UInt8], cut: Int) -> [Said] {
        var reader = HTTPRequestReader()
        var said: [Said] = []
        let cut = max(1, min(cut, bytes.count))
        for start in stride(from: 0, to: bytes.count, by: cut) {
            reader.append(ByteBuffer(bytes: bytes[start..<min(start + cut, bytes.count)]))
            drain(&reader, &said)
            precondition(
                reader.storedBytes <= 4 * (HTTPRequestReader.maximumHeadBytes + cut),
                "more is kept than a head may have")
        }
        return said
    }

    private static func drain(_ reader: inout HTTPRequestReader, _ said: inout [Said]) {
        while true {
            if case .fault? = said.last {
                precondition(reader.next() == .none, "something comes behind a fault")
                return
            }
            switch reader.next() {
            case .none: return
            case .request(let request): said.append(.request(request))
            case .body(let piece):
                precondition(piece.readableBytes > 0, "a piece of a body without bytes")
                var whole: [UInt8] = []
                if case .body(let bytes)? = said.last {
                    // Leaves one owner, so that the rest is put behind it in place.
                    said.removeLast()
                    whole = bytes
                }
                whole += piece.readableBytesView
                said.append(.body(whole))
            case .end:
                checkLength(said)
                said.append(.end)
            case .fault(let fault): said.append(.fault(fault))
            }
        }
    }

    private static func checkLength(_ said: [Said]) {
        let body: [UInt8] = if case .body(let bytes)? = said.last { bytes } else { [] }
        guard case .request(let request)? = said.last(where: { if case .request = $0 { true } else { false } }),
            case .bytes(let count) = request.body
        else { return }
        precondition(body.count == count, "a body is not as long as it says")
    }
}
