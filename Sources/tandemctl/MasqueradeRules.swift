import Addressing

extension Masquerade.Format {
    /// Replaces the rules of an earlier run.
    func rules(_ plan: MasqueradePlan) -> String {
        switch self {
        case .nft: NftRules.removal + NftRules.table(plan)
        case .iptables: IptablesRules.removal + IPFamily.allCases.map { IptablesRules.script(plan, $0) }.joined()
        }
    }

    var removal: String {
        switch self {
        case .nft: NftRules.removal
        case .iptables: IptablesRules.removal
        }
    }
}

/// A table of our own, which one transaction of nft replaces: no packet ever sees half of it.
private enum NftRules {
    /// The first line makes the table where there is none, so that the second never fails.
    static let removal = """
        table inet tandem-masquerade
        delete table inet tandem-masquerade

        """

    static func table(_ plan: MasqueradePlan) -> String {
        let parts = IPFamily.allCases.compactMap { family in plan.part(family).map { (Words(family), $0) } }
        let sets = parts.map { words, part in
            set("pods-\(words.suffix)", words, part.pods) + set("kept-\(words.suffix)", words, part.kept)
        }
        let rules = parts.map { words, _ in
            "        \(words.header) saddr @pods-\(words.suffix) \(words.header) daddr != @kept-\(words.suffix) "
                + "masquerade fully-random\n"
        }
        return """
            table inet tandem-masquerade {
            \(sets.joined())    chain postrouting {
                    type nat hook postrouting priority srcnat; policy accept;
            \(rules.joined())    }
            }

            """
    }

    private static func set(_ name: String, _ words: Words, _ ranges: [CIDR]) -> String {
        let elements = ranges.isEmpty ? "" : " elements = { \(ranges.map(\.description).joined(separator: ", ")) }"
        // Ranges may lie in one another.
        return "    set \(name) { type \(words.type); flags interval; auto-merge;\(elements) }\n"
    }

    private struct Words {
        var suffix: String
        var header: String
        var type: String

        init(_ family: IPFamily) {
            (suffix, header, type) =
                family == .ipv4 ? ("ipv4", "ip", "ipv4_addr") : ("ipv6", "ip6", "ipv6_addr")
        }
    }
}

/// A chain of our own in each family's nat table, and one jump to it.
private enum IptablesRules {
    private static let chain = "TANDEM-MASQUERADE"

    static let removal = ["iptables", "ip6tables"].map { program in
        """
        while \(program) -w -t nat -D POSTROUTING -j \(chain) 2>/dev/null; do :; done
        \(program) -w -t nat -F \(chain) 2>/dev/null || :
        \(program) -w -t nat -X \(chain) 2>/dev/null || :

        """
    }.joined()

    /// One transaction of iptables-restore makes chain and jump together; between removal and it new connections leave
    /// as they are, which nft's way does not have.
    static func script(_ plan: MasqueradePlan, _ family: IPFamily) -> String {
        guard let part = plan.part(family) else { return "" }
        let kept = part.kept.map { "-A \(chain) -d \($0) -j RETURN\n" }.joined()
        let pods = part.pods.map { "-A \(chain) -s \($0) -j MASQUERADE --random-fully\n" }.joined()
        return """
            \(family == .ipv4 ? "iptables" : "ip6tables")-restore -w --noflush <<'RULES'
            *nat
            :\(chain) - [0:0]
            \(kept)\(pods)-A POSTROUTING -j \(chain)
            COMMIT
            RULES

            """
    }
}
