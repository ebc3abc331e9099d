import Addressing
public import Ledger

/// Changes as the engine journals them: one new dual-stack Service each.
public enum SampleTransactions {
    public static func make(_ numbers: Range<Int>) -> [LedgerTransaction] {
        let document = SampleService.encode(SampleService.decided)
        return numbers.map { number in
            let holdings = [
                Holding(pool: .serviceIP, address: IPAddress(family: .ipv4, bits: 0x0a00_0000 + UInt128(number))),
                Holding(pool: .serviceIP, address: IPAddress(family: .ipv6, bits: 0xfd << 120 + UInt128(number))),
            ]
            return LedgerTransaction(records: [
                LedgerRecord(
                    kind: .service, key: "default/web-\(number)", version: UInt64(number) + 1,
                    change: .put(
                        document: document, context: Array(#"{"ipFamilyPolicy":"PreferDualStack"}"#.utf8),
                        holdings: holdings))
            ])
        }
    }
}
