import Addressing
import DualStack
import Ledger
import TandemAPI

/// The facts about a Service that few have: kept apart, so that other Services need no memory for them.
final class RareFacts: Sendable {
    let update: ServiceUpdate?
    let kept: Few<IPAddress>
    /// Of a request that is too long to be compared anew by each call of its name.
    let request: StoredRequest?
    /// The holdings by address, where they are more than a few: a Service that was adopted may show as many as its object has room for.
    let byAddress: [IPAddress: Holding]?
    let shown: Few<IPAddress>?
    let shownPorts: [UInt16]
    let keptPorts: [NodePort]

    private static let fewHoldings = 8
    /// In bytes: some ten microseconds.
    private static let shortRequest = 1024

    /// nil where there are none.
    static func of(
        _ service: Service, _ context: ServiceContext, holding holdings: [Holding], shown: Few<IPAddress>?
    ) -> RareFacts? {
        let isLong = context.withRequest { $0.count } > shortRequest
        let ports = Self.ports(shown: nodePorts(of: service), holding: holdings)
        guard
            isLong || holdings.count > fewHoldings || context.update != nil || !context.kept.isEmpty
                || shown != nil
                || ports != nil
        else { return nil }
        return RareFacts(context, isLong: isLong, ports: ports ?? ([], []), holdings, shown)
    }

    private init(
        _ context: ServiceContext, isLong: Bool, ports: ([UInt16], [NodePort]), _ holdings: [Holding],
        _ shown: Few<IPAddress>?
    ) {
        update = context.update
        kept = context.kept
        request = isLong ? context.known ?? StoredRequest(text: context.request) : nil
        byAddress =
            holdings.count <= Self.fewHoldings
            ? nil
            : Dictionary(holdings.compactMap { holding in holding.address.map { ($0, holding) } }) { first, _ in first }
        self.shown = shown
        (shownPorts, keptPorts) = ports
    }

    /// The node ports that it shows and does not hold, each once, and those that it holds and does not show; nil where there are none of
    /// either.
    private static func ports(shown: [NodePort], holding holdings: [Holding]) -> ([UInt16], [NodePort])? {
        let held: [NodePort] = holdings.compactMap(NodePort.init)
        guard !shown.isEmpty || !held.isEmpty else { return nil }
        let numbers = Set(shown.map(\.number))
        var seen = Set(held.map(\.number))
        let onlyShown = shown.map(\.number).filter { seen.insert($0).inserted }
        let onlyHeld = held.filter { !numbers.contains($0.number) }
        return onlyShown.isEmpty && onlyHeld.isEmpty ? nil : (onlyShown, onlyHeld)
    }
}
