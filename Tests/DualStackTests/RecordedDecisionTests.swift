import ServiceDecisions
import TandemAPI
import Testing

@Suite("The rules agree with kube-apiserver")
struct RecordedDecisionTests {
    @Test("every recorded case, by the rules alone")
    func agreesWithAll() throws {
        var disagreements: [String] = []
        for decision in DecisionCase.all {
            let rules = RulesAlone(decision.ranges)
            #expect(reserveFirst(rules, decision.ranges))
            var runner = DecisionRunner(decision, on: rules)
            try runner.run()
            disagreements += runner.disagreements
            let inUse = rules.addressesInUse
            #expect(inUse.pools == Set(inUse.services), "\(decision.id)")
            #expect(inUse.pools.count == inUse.services.count, "\(decision.id)")
            #expect(rules.ports == Set(rules.shownPorts) && rules.ports.count == rules.shownPorts.count)
        }
        let count = DecisionCase.all.count
        print("the rules alone: \(count - disagreements.count) of \(count) recorded cases agree")
        #expect(count > 1_500)
        #expect(disagreements.isEmpty, "\(disagreements.prefix(20).joined(separator: "\n"))")
    }

    /// The Service `kubernetes`, which every cluster has from its start.
    private func reserveFirst(_ rules: RulesAlone, _ ranges: [String]) -> Bool {
        if case .service = rules.create(kubernetesService(ranges)) { true } else { false }
    }
}
