import Addressing
import Foundation
import TandemAPI
import TestSupport
import Testing

/// Values in the place of texts: no text is another one than it was.
@Suite("Texts that stand for values")
struct WrittenTests {
    private static let addresses = [
        "10.96.0.1", "fd00::1", "::", "::1", "FD00::1", "fd00:0::1", "::ffff:10.0.0.1", "10.96.0.01", "None", "",
        "10.96.0",
        "10.96.0.1 ", "fd00:10:96::1:0", "1.2.3.4.5", "ü",
    ]

    @Test("an address has one canonical text, and all others stay as they are")
    func keepsAddresses() {
        for text in Self.addresses {
            let written = Written<IPAddress>(text)
            #expect(written.description == text)
            #expect((written.value != nil) == (IPAddress(text)?.description == text))
            #expect(written.isEmpty == text.isEmpty)
            #expect(written == Written(utf8: text))
            #expect(written.isWritten(text) && !written.isWritten(text + "x"))
        }
    }

    @Test("a list of them is what a list of texts is, whatever is done to it", arguments: seeds)
    func matchesStrings(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }
        var (list, twin) = (WrittenList<IPAddress>(), [String]())
        for _ in 0..<1_000 {
            let text = Self.addresses[number(0..<Self.addresses.count)]
            switch number(0..<5) {
            case 0...1:
                list.append(Written(text))
                twin.append(text)
            case 2:
                guard !twin.isEmpty else { continue }
                let place = number(0..<twin.count)
                (list[place], twin[place]) = (Written(text), text)
            case 3: if !twin.isEmpty { #expect(list.removeLast().description == twin.removeLast()) }
            default:
                let kept = number(0..<(twin.count + 1))
                (list, twin) = (WrittenList(list.prefix(kept)), Array(twin.prefix(kept)))
            }
            #expect(list.map(\.description) == twin && list.isEmpty == twin.isEmpty)
            #expect(list.isOnly("None") == (twin == ["None"]))
            #expect(Array(list.values) == twin.compactMap { Written<IPAddress>($0).value })
            // However it came about.
            #expect(list == WrittenList(twin.map { Written($0) }))
            if twin.count > 5 { (list, twin) = ([], []) }
        }
    }

    @Test("the words of Kubernetes, a CIDR and a uid are values in their own spelling alone")
    func keepsWords() {
        #expect(Written<ServiceType>("LoadBalancer").value == .loadBalancer)
        #expect(Written<ServiceType>("Loadbalancer").value == nil)
        #expect(Written<FamilyPolicy>("PreferDualStack") == .preferDualStack)
        #expect(Written<IPFamily>("IPv6").value == .ipv6 && Written<IPFamily>("ipv6").description == "ipv6")
        for word in ServiceType.allCases { #expect(Written<ServiceType>(word.spelling.description) == .value(word)) }
        for word in FamilyPolicy.allCases { #expect(Written<FamilyPolicy>(word.spelling.description) == .value(word)) }
        for (text, isValue) in [("10.244.0.0/24", true), ("10.244.0.0/024", false), ("fd00::/64", true), ("x", false)] {
            #expect((Written<CIDR>(text).value != nil) == isValue && Written<CIDR>(text).description == text)
        }
    }

    @Test("a uid is a UUID of lower-case digits; a random one is of version 4", arguments: seeds)
    func keepsUIDs(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let text = UUID().uuidString.lowercased()
            var changed = Array(text.utf8)
            changed[Int.random(in: 0..<36, using: &generator)] = UInt8.random(in: 0x20..<0x7F, using: &generator)
            for text in [text, text.uppercased(), String(decoding: changed, as: UTF8.self), String(text.dropLast())] {
                let written = Written<ObjectUID>(text)
                #expect(written.description == text && written.byteCount == text.utf8.count)
                let isCanonical = UUID(uuidString: text)?.uuidString.lowercased() == text
                #expect((written.value != nil) == isCanonical)
                let again = written.withBytes { Written<ObjectUID>(bytes: $0, isValue: isCanonical) }
                #expect(again == written)
            }
            let made = Written.value(ObjectUID(random: generator.next(), generator.next())).description
            #expect(UUID(uuidString: made)?.uuidString.lowercased() == made)
            #expect(Array(made)[14] == "4" && "89ab".contains(Array(made)[19]))
        }
    }
}

extension Written {
    fileprivate init(utf8 text: String) { self = Array(text.utf8).withUnsafeBytes { Written(utf8: $0) } }
    fileprivate func isWritten(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { isWritten($0) } }
}
