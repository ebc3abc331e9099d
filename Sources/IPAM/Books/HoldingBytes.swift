import Addressing
import Ledger

/// Holdings as bytes, one behind the other: an address of IPv4 takes six, one of IPv6 eighteen, a port three.
///
/// A range is its pool, with a bit for IPv6, its prefix length and its network; a port its transport, with a bit, and its number.
enum HoldingBytes {
    private static let ipv6: UInt8 = 0x40
    private static let port: UInt8 = 0x80

    static func count(of holding: Holding) -> Int {
        switch holding {
        case .range(_, let range): range.family == .ipv4 ? 6 : 18
        case .port: 3
        }
    }

    /// Writes one to memory that has room for it, and returns the end.
    static func write(_ holding: Holding, to place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        switch holding {
        case .range(let pool, let range):
            place.storeBytes(of: range.family == .ipv4 ? pool.rawValue : pool.rawValue | ipv6, as: UInt8.self)
            place.storeBytes(of: UInt8(range.prefixLength), toByteOffset: 1, as: UInt8.self)
            if range.family == .ipv4 {
                place.storeBytes(of: UInt32(truncatingIfNeeded: range.network.low), toByteOffset: 2, as: UInt32.self)
            } else {
                place.storeBytes(of: range.network.bits, toByteOffset: 2, as: UInt128.self)
            }
        case .port(let transport, let number):
            place.storeBytes(of: transport.rawValue | port, as: UInt8.self)
            place.storeBytes(of: number, toByteOffset: 1, as: UInt16.self)
        }
        return place + count(of: holding)
    }

    /// The address at a place, where `write` has put a holding, nil for another one; moves it behind.
    @inline(__always)
    static func address(at place: inout UnsafeRawPointer) -> IPAddress? {
        let tag = place.load(as: UInt8.self)
        let length = place.load(fromByteOffset: 1, as: UInt8.self)
        guard tag & port == 0, length == (tag & ipv6 == 0 ? 32 : 128) else { return read(at: &place)?.address }
        return network(at: &place, tag)
    }

    /// Of a range.
    @inline(__always)
    private static func network(at place: inout UnsafeRawPointer, _ tag: UInt8) -> IPAddress {
        guard tag & ipv6 == 0 else {
            defer { place += 18 }
            let bits = place.loadUnaligned(fromByteOffset: 2, as: UInt128.self)
            return IPAddress(
                family: .ipv6, knownHigh: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
        }
        defer { place += 6 }
        return IPAddress(
            family: .ipv4, knownHigh: 0, low: UInt64(place.loadUnaligned(fromByteOffset: 2, as: UInt32.self)))
    }

    /// Reads the one at a place, where `write` has put one, and moves it behind.
    static func read(at place: inout UnsafeRawPointer) -> Holding? {
        let tag = place.load(as: UInt8.self)
        if tag & port != 0 {
            defer { place += 3 }
            let number = place.loadUnaligned(fromByteOffset: 1, as: UInt16.self)
            return TransportProtocol(rawValue: tag & ~port).map { .port($0, number) }
        }
        let length = Int(place.load(fromByteOffset: 1, as: UInt8.self))
        let network = network(at: &place, tag)
        return Holding.Pool(rawValue: tag & ~ipv6).map {
            .range($0, CIDR(containing: network, prefixLength: length))
        }
    }
}
