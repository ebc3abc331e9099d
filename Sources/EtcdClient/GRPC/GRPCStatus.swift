import NIOHPACK

/// The status of a stream's end, from its headers.
enum GRPCStatus {
    /// Of etcd's words, the most that is kept.
    private static let maximumMessageBytes = 4_096

    /// The status in trailers; nil where it is well.
    static func error(inTrailers headers: HPACKHeaders) -> EtcdError? {
        guard let text = headers.first(name: "grpc-status") else {
            return EtcdError(.unknown, "the member's answer has no status", mayHaveBeenApplied: true)
        }
        guard let number = Int(text), number >= 0 else {
            return EtcdError(.unknown, "the member's answer has a status that is no number", mayHaveBeenApplied: true)
        }
        guard number != 0 else { return nil }
        let code = EtcdError.Code(rawValue: number)
        let message = headers.first(name: "grpc-message").map(decodingPercents) ?? ""
        return EtcdError(
            code, message.isEmpty ? "the member gave no reason" : message, mayHaveBeenApplied: !code.isRefusal)
    }

    /// The fault of a stream's first headers; nil where there is none.
    static func error(inHeaders headers: HPACKHeaders) -> EtcdError? {
        guard let status = headers.first(name: ":status").flatMap({ Int($0) }) else {
            return EtcdError(.internal, "the member's answer has no HTTP status", mayHaveBeenApplied: true)
        }
        // A proxy, or another server that speaks no gRPC, answers by HTTP's status alone.
        guard status == 200 else {
            return EtcdError(
                code(ofHTTP: status), "the member answered HTTP status \(status)", mayHaveBeenApplied: true)
        }
        guard headers.first(name: "content-type")?.hasPrefix("application/grpc") == true else {
            return EtcdError(.internal, "the member's answer is no gRPC", mayHaveBeenApplied: true)
        }
        return nil
    }

    /// As gRPC's specification has it.
    private static func code(ofHTTP status: Int) -> EtcdError.Code {
        switch status {
        case 400: .internal
        case 401: .unauthenticated
        case 403: .permissionDenied
        case 404: .unimplemented
        case 429, 502, 503, 504: .unavailable
        default: .unknown
        }
    }

    /// `%41` is `A`; malformed escapes stay as they are, invalid UTF-8 is replaced.
    static func decodingPercents(_ text: String) -> String {
        let bytes = Array(text.utf8.prefix(maximumMessageBytes))
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = hexDigit(bytes[index + 1]),
                let low = hexDigit(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
