import Addressing
public import Ledger

/// Proposals of the engine: one new dual-stack Service each.
public enum SampleProposals {
    public static func make(_ numbers: Range<Int>) -> [Proposal] {
        let document = SampleService.encode(SampleService.decided)
        return numbers.map { number in
            let holdings = [
                Holding(pool: .serviceIP, address: IPAddress(family: .ipv4, bits: 0x0a00_0000 + UInt128(number))),
                Holding(pool: .serviceIP, address: IPAddress(family: .ipv6, bits: 0xfd << 120 + UInt128(number))),
            ]
            let key = ObjectKey(.service, "default/web-\(number)")
            let form = StoredForm(
                document: document, context: Array(#"[{"ipFamilyPolicy":"PreferDualStack"},false]"#.utf8),
                holdings: holdings)
            return Proposal(expecting: [.absent(key)], [.put(key, form)])
        }
    }
}
