import COpenSSL
import NIOCore

/// OpenSSL's view of a connection: unread input and unsent output.
///
/// OpenSSL reads from the buffer that came from the socket and writes into the one that goes to it, with no BIO pair
/// and no copy between. Not thread-safe: it belongs to its connection's event loop.
final class ByteBufferBIO {
    /// Ciphertext from the peer.
    private var inbound = ByteBuffer()
    /// Ciphertext for the peer.
    private var outbound: ByteBuffer
    private let allocator: ByteBufferAllocator

    init(allocator: ByteBufferAllocator) {
        self.allocator = allocator
        outbound = allocator.buffer(capacity: 0)
    }

    func receive(_ bytes: ByteBuffer) {
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            var bytes = bytes
            inbound.writeBuffer(&bytes)
        }
    }

    var hasInbound: Bool { inbound.readableBytes > 0 }

    var hasOutbound: Bool { outbound.readableBytes > 0 }

    /// The output to send; nothing remains.
    func takeOutbound() -> ByteBuffer {
        let bytes = outbound
        outbound = ByteBuffer()
        return bytes
    }

    /// Space for the coming output, so that it is allocated once.
    func reserveOutbound(_ bytes: Int) {
        if outbound.capacity == 0 {
            outbound = allocator.buffer(capacity: bytes)
        } else {
            outbound.reserveCapacity(minimumWritableBytes: bytes)
        }
    }

    // MARK: OpenSSL's side

    /// A BIO over this object, which must outlive it; the receiver must free it.
    func makeBIO() throws(TLSError) -> OpaquePointer {
        guard let method = Self.method, let bio = BIO_new(method) else {
            throw OpenSSLErrorQueue.internalError("BIO_new")
        }
        BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        BIO_set_init(bio, 1)
        return bio
    }

    /// Proof of `unsafe`: made once, never changed after, never freed; OpenSSL's threads only read it.
    private nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ByteBuffer") else { return nil }
        BIO_meth_set_read(method) { bio, bytes, count in
            guard let bytes, count > 0 else { return 0 }
            tandem_BIO_clear_retry_flags(bio)
            let read = ByteBufferBIO.of(bio).read(into: UnsafeMutableRawBufferPointer(start: bytes, count: Int(count)))
            if read == 0 {
                tandem_BIO_set_retry_read(bio)
                return -1
            }
            return Int32(read)
        }
        BIO_meth_set_write(method) { bio, bytes, count in
            guard let bytes, count > 0 else { return 0 }
            tandem_BIO_clear_retry_flags(bio)
            ByteBufferBIO.of(bio).write(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            return count
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in
            // Nothing is held back here, so that a flush is done as soon as it is asked for.
            command == BIO_CTRL_FLUSH ? 1 : 0
        }
        return method
    }()

    /// Proof: `makeBIO` put it there, and `TLSConnection` keeps it for as long as the BIO lives.
    private static func of(_ bio: OpaquePointer?) -> ByteBufferBIO {
        Unmanaged<ByteBufferBIO>.fromOpaque(BIO_get_data(bio)).takeUnretainedValue()
    }

    private func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        let count = inbound.readWithUnsafeReadableBytes { bytes in
            let count = min(bytes.count, target.count)
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            return (count, count)
        }
        // The channel reads into the same memory again, once it has no other reference.
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
        return count
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        if outbound.capacity == 0 { outbound = allocator.buffer(capacity: bytes.count) }
        outbound.writeBytes(bytes)
    }
}
