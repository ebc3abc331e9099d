import Addressing
import TandemAPI

/// The members of a Service's `spec` that decide about addresses, as small values: they stand in front of all others in a text that the
/// server wrote.
///
/// They are cut out of the text by comparison with the few texts that they can have, so that the way back is byte for byte the same; a text
/// with others has an empty head, and stays as it is.
struct SpecHead: Equatable {
    /// 0 where the text has no such member, or another.
    private var type: UInt8 = 0
    private var policy: UInt8 = 0
    private var families: UInt8 = 0
    private var addresses = Addresses.others

    /// `clusterIP` and `clusterIPs`.
    private enum Addresses: UInt8 {
        /// Absent, or none of the following: they stand among the other members.
        case others
        case headless
        /// The first address that the Service holds, or the first two.
        case one, two
    }

    /// As many as have a text.
    private static let typeCount: UInt8 = 4
    private static let policyCount: UInt8 = 3
    private static let familiesCount: UInt8 = 4

    private static func type(_ code: UInt8) -> StaticString {
        switch code {
        case 1: #""type":"ClusterIP""#
        case 2: #""type":"LoadBalancer""#
        case 3: #""type":"NodePort""#
        default: #""type":"ExternalName""#
        }
    }

    private static func policy(_ code: UInt8) -> StaticString {
        switch code {
        case 1: #""ipFamilyPolicy":"RequireDualStack""#
        case 2: #""ipFamilyPolicy":"PreferDualStack""#
        default: #""ipFamilyPolicy":"SingleStack""#
        }
    }

    private static func families(_ code: UInt8) -> StaticString {
        switch code {
        case 1: #""ipFamilies":["IPv4","IPv6"]"#
        case 2: #""ipFamilies":["IPv6","IPv4"]"#
        case 3: #""ipFamilies":["IPv4"]"#
        default: #""ipFamilies":["IPv6"]"#
        }
    }

    private static let headless: StaticString = #""clusterIP":"None","clusterIPs":["None"]"#

    init() {}

    /// Of a `spec` as its writer writes it: the members in front, up to the first that has another text.
    init(of service: Service, holding first: IPAddress?, _ second: IPAddress?) {
        if let word = service.spec.type {
            guard let code = word.value.map(Self.code) else { return }
            type = code
        }
        if let word = service.spec.ipFamilyPolicy {
            guard let code = word.value.map(Self.code) else { return }
            policy = code
        }
        if !service.spec.ipFamilies.isEmpty {
            guard let code = Self.code(service.spec.ipFamilies) else { return }
            families = code
        }
        if service.spec.clusterIPs.isOnly("None") {
            if !service.spec.clusterIP.isEmpty, service.spec.clusterIP == service.spec.clusterIPs[0] {
                addresses = .headless
            }
            return
        }
        guard let first, !service.spec.clusterIPs.isEmpty, service.spec.clusterIP == .value(first),
            service.spec.clusterIPs[0] == .value(first)
        else { return }
        switch service.spec.clusterIPs.count {
        case 1: addresses = .one
        case 2: if let second, service.spec.clusterIPs[1] == .value(second) { addresses = .two }
        default: break
        }
    }

    private static func code(_ type: ServiceType) -> UInt8 {
        switch type {
        case .clusterIP: 1
        case .loadBalancer: 2
        case .nodePort: 3
        case .externalName: 4
        }
    }

    private static func code(_ policy: FamilyPolicy) -> UInt8 {
        switch policy {
        case .requireDualStack: 1
        case .preferDualStack: 2
        case .singleStack: 3
        }
    }

    private static func code(_ families: WrittenList<IPFamily>) -> UInt8? {
        guard families.count <= 2, let first = families[0].value else { return nil }
        if families.count == 1 { return first == .ipv4 ? 3 : 4 }
        return families[1].value == first.other ? first == .ipv4 ? 1 : 2 : nil
    }

    /// Goes over the text that `write` writes, which is known to be there. O(head).
    func pass(_ scan: inout TextScan) {
        var isFirst = true
        func pass(_ count: Int) {
            scan.drop(count + (isFirst ? 0 : 1))
            isFirst = false
        }
        if type > 0 { pass(Self.type(type).utf8CodeUnitCount) }
        if policy > 0 { pass(Self.policy(policy).utf8CodeUnitCount) }
        if families > 0 { pass(Self.families(families).utf8CodeUnitCount) }
        switch addresses {
        case .others: break
        case .headless: pass(Self.headless.utf8CodeUnitCount)
        case .one, .two:
            pass(#""clusterIP":""#.utf8.count)
            _ = scan.string()
            scan.drop(#","clusterIPs":[""#.utf8.count)
            _ = scan.string()
            if addresses == .two {
                scan.drop(#",""#.utf8.count)
                _ = scan.string()
            }
            scan.drop("]".utf8.count)
        }
    }

    /// Takes the head off the front of a text, which is behind the object's brace. O(head).
    init(_ scan: inout TextScan, holding first: IPAddress?, _ second: IPAddress?) {
        var isFirst = true
        type = Self.skip(&scan, &isFirst, Self.typeCount, Self.type)
        policy = Self.skip(&scan, &isFirst, Self.policyCount, Self.policy)
        families = Self.skip(&scan, &isFirst, Self.familiesCount, Self.families)
        var ahead = scan
        guard isFirst || ahead.skip(",") else { return }
        if ahead.skip(Self.headless) {
            (scan, addresses) = (ahead, .headless)
            return
        }
        guard let first, ahead.skip(#""clusterIP":""#), let text = ahead.string(), first.isWritten(text),
            ahead.skip(#","clusterIPs":[""#), let again = ahead.string(), again.hasSameBytes(as: text)
        else { return }
        if ahead.skip("]") {
            (scan, addresses) = (ahead, .one)
        } else if let second, ahead.skip(#",""#), let text = ahead.string(), second.isWritten(text), ahead.skip("]") {
            (scan, addresses) = (ahead, .two)
        }
    }

    /// The code of the member that stands there next, 0 for none.
    @inline(__always)
    private static func skip(
        _ scan: inout TextScan, _ isFirst: inout Bool, _ count: UInt8, _ text: (UInt8) -> StaticString
    ) -> UInt8 {
        var behind = scan
        guard isFirst || behind.skip(",") else { return 0 }
        for code in 1...count {
            var ahead = behind
            guard ahead.skip(text(code)) else { continue }
            scan = ahead
            isFirst = false
            return code
        }
        return 0
    }

    /// The text that was taken off. O(head).
    func write(to writer: inout JSONWriter, holding first: IPAddress?, _ second: IPAddress?) {
        var isFirst = true
        func separate(_ writer: inout JSONWriter) {
            if !isFirst { writer.append(UInt8(ascii: ",")) }
            isFirst = false
        }
        if type > 0 {
            separate(&writer)
            writer.append(Self.type(type))
        }
        if policy > 0 {
            separate(&writer)
            writer.append(Self.policy(policy))
        }
        if families > 0 {
            separate(&writer)
            writer.append(Self.families(families))
        }
        guard addresses != .others else { return }
        separate(&writer)
        guard addresses != .headless, let first else {
            writer.append(Self.headless)
            return
        }
        first.withUTF8 { text in
            writer.append(#""clusterIP":""#)
            writer.append(UnsafeRawBufferPointer(text))
            writer.append(#"","clusterIPs":[""#)
            writer.append(UnsafeRawBufferPointer(text))
        }
        if addresses == .two, let second {
            writer.append(#"",""#)
            second.withUTF8 { writer.append(UnsafeRawBufferPointer($0)) }
        }
        writer.append(#""]"#)
    }
}

extension SpecHead {
    private var isEmpty: Bool { self == SpecHead() }

    /// The members behind this head, where `rest` has them behind another: with a comma in front unless there is nothing to separate.
    func members(_ rest: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        isEmpty && rest.first == UInt8(ascii: ",") ? UnsafeRawBufferPointer(rebasing: rest.dropFirst()) : rest
    }

    /// Whether `text`, up to its closing brace, has the members that `rest` has. O(length).
    func isFollowed(in text: UnsafeRawBufferPointer, by rest: UnsafeRawBufferPointer) -> Bool {
        text.last == UInt8(ascii: "}")
            && UnsafeRawBufferPointer(rebasing: text.dropLast()).hasSameBytes(as: members(rest))
    }
}
