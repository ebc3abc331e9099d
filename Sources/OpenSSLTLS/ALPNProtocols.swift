import COpenSSL

/// A list of application protocols as ALPN writes it: each name behind a byte with its length.
final class ALPNProtocols: Sendable {
    let wireFormat: [UInt8]

    init(_ names: [String]) throws(TLSError) {
        var wireFormat: [UInt8] = []
        for name in names {
            guard let length = UInt8(exactly: name.utf8.count), length > 0 else {
                throw TLSError(.invalidProtocolName, "the protocol name \"\(name)\" must have 1 to 255 bytes")
            }
            wireFormat.append(length)
            wireFormat += name.utf8
        }
        self.wireFormat = wireFormat
    }

    /// The server's choice among a client's offers: the first of ours among them.
    static let select:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<UInt8>?,
            UnsafePointer<UInt8>?, UInt32, UnsafeMutableRawPointer?
        ) -> Int32 = { _, choice, choiceLength, offered, offeredLength, argument in
            guard let argument, let choice, let choiceLength, let offered else { return SSL_TLSEXT_ERR_ALERT_FATAL }
            // Proof: the context that owns this list owns the SSL_CTX that calls here.
            let ours = Unmanaged<ALPNProtocols>.fromOpaque(argument).takeUnretainedValue().wireFormat
            let offer = UnsafeBufferPointer(start: offered, count: Int(offeredLength))
            var index = 0
            while index < ours.count {
                let name = ours[index + 1..<index + 1 + Int(ours[index])]
                if let place = ALPNProtocols.place(of: name, in: offer) {
                    // The choice points into the offer, which outlives this call.
                    choice.pointee = offered + place
                    choiceLength.pointee = UInt8(name.count)
                    return SSL_TLSEXT_ERR_OK
                }
                index = name.endIndex
            }
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }

    private static func place(of name: ArraySlice<UInt8>, in offer: UnsafeBufferPointer<UInt8>) -> Int? {
        var index = 0
        while index < offer.count {
            let end = index + 1 + Int(offer[index])
            guard end <= offer.count else { return nil }
            if offer[index + 1..<end].elementsEqual(name) { return index + 1 }
            index = end
        }
        return nil
    }
}
