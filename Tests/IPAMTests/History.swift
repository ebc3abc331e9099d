import Addressing
import Ledger
import TandemAPI

@testable import IPAM

/// A call and its answer, with the moments of both on one clock that only counts.
struct Operation: Sendable, CustomStringConvertible {
    enum Act: Sendable, CaseIterable { case allocate, update, release, read }

    enum Outcome: Sendable, Equatable {
        case object(String, Int, isReplay: Bool)
        case released(String?)
        case missing
        case full
        case other(String)
    }

    var act: Act
    var name: Int
    var invoked: Int
    var answered: Int
    var outcome: Outcome

    var description: String { "\(invoked)-\(answered) \(act) \(name): \(outcome)" }
}

extension Operation {
    /// `flag` chooses one of two updates.
    static func call(_ act: Act, _ name: String, _ flag: Bool) -> Call {
        let metadata = ObjectMeta(namespace: "default", name: name)
        var spec = ServiceSpec()
        switch act {
        case .allocate: return Call(.allocateServiceIPs, .allocateServiceIPs(Service(metadata: metadata, spec: spec)))
        case .update:
            spec.type = flag ? "NodePort" : "ClusterIP"
            var ports = JSONReader.ports
            swap(&spec.ports, &ports)
            return Call(.updateServiceIPs, .updateServiceIPs(Service(metadata: metadata, spec: spec)))
        case .release: return Call(.release, .release(.service(metadata)))
        case .read: return Call(.getService, .getService(metadata))
        }
    }

    static func outcome(_ act: Operation.Act, _ result: Result<CallResult, APIError>?) -> Outcome {
        switch result {
        case .success(let result):
            guard let json = try? JSONValue(parsing: result.json) else { return .other("no JSON") }
            if act == .release { return .released(json["released"]?.arrayValue?.first?["ip"]?.stringValue) }
            guard let service = json["service"], let address = service["spec"]?["clusterIP"]?.stringValue,
                let version = service["metadata"]?["resourceVersion"]?.stringValue.flatMap({ Int($0) })
            else { return .other(json.text.description) }
            return .object(address, version, isReplay: json["replayed"] == true)
        case .failure(let error) where error.status == .notFound: return .missing
        case .failure(let error) where error.status == .resourceExhausted: return .full
        case .failure(let error): return .other(error.message)
        case nil: return .other("nothing")
        }
    }
}

extension JSONReader {
    fileprivate static var ports: ServicePorts? {
        try? JSONReader.read(Array(#"[{"port":80}]"#.utf8)) { reader throws(JSONError) in
            try ServicePorts(from: &reader)
        }
    }
}

/// The search of Wing and Gong: tries every order that the moments allow against what one call after the other would do,
/// and remembers where it has been.
struct History {
    private struct Held: Hashable {
        var address: String
        var version: Int
    }

    private struct Place: Hashable {
        var done: UInt64
        var held: [Held?]
    }

    private let operations: [Operation]
    private let free: Set<String>
    private let hasSeveralServers: Bool

    init(_ operations: [Operation], free: Set<String>, hasSeveralServers: Bool = false) {
        self.hasSeveralServers = hasSeveralServers
        precondition(operations.count < 64)
        self.operations = operations
        self.free = free
    }

    var hasOrder: Bool {
        var seen: Set<Place> = []
        return hasOrder(from: Place(done: 0, held: [nil, nil, nil]), &seen)
    }

    private func hasOrder(from place: Place, _ seen: inout Set<Place>) -> Bool {
        guard seen.insert(place).inserted else { return false }
        let open = operations.indices.filter { place.done & 1 << UInt64($0) == 0 }
        guard let deadline = open.map({ operations[$0].answered }).min() else { return true }
        for index in open where operations[index].invoked < deadline {
            guard let held = after(operations[index], place) else { continue }
            if hasOrder(from: Place(done: place.done | 1 << UInt64(index), held: held), &seen) { return true }
        }
        return false
    }

    /// "Full" counts what a call at the same time has claimed, and not committed or not given back: addresses that nobody
    /// is seen to hold, and that it will not wait for.
    private func claimsUnderWay(beside operation: Operation, _ place: Place) -> Int {
        operations.indices.count { index in
            let other = operations[index]
            guard other.invoked < operation.answered, operation.invoked < other.answered else { return false }
            let isDone = place.done & 1 << UInt64(index) != 0
            switch other.outcome {
            case .object(_, _, isReplay: false): return other.act == .allocate && !isDone
            // It may have claimed an address before it learned that another server's call had been first.
            case .object(_, _, isReplay: true): return other.act == .allocate && hasSeveralServers
            case .released(.some): return isDone
            default: return false
            }
        }
    }

    /// What is held after a call whose outcome it must have been; nil where it can't have been.
    private func after(_ operation: Operation, _ place: Place) -> [Held?]? {
        let old = place.held[operation.name]
        var held = place.held
        switch (operation.act, operation.outcome) {
        case (.allocate, .object(let address, let version, let isReplay)):
            let new = Held(address: address, version: version)
            if let old { return isReplay && old == new ? held : nil }
            guard !isReplay, free.contains(address), !held.contains(where: { $0?.address == address }) else {
                return nil
            }
            held[operation.name] = new
        case (.allocate, .full):
            let taken = held.compactMap(\.self).count + claimsUnderWay(beside: operation, place)
            return old == nil && taken >= free.count ? held : nil
        case (.update, .object(let address, let version, _)):
            guard let old, old.address == address, version >= old.version else { return nil }
            held[operation.name] = Held(address: address, version: version)
        case (.update, .missing), (.read, .missing): return old == nil ? held : nil
        case (.read, .object(let address, let version, _)):
            return old == Held(address: address, version: version) ? held : nil
        case (.release, .released(let address)):
            guard old?.address == address else { return nil }
            held[operation.name] = nil
        default: return nil
        }
        return held
    }
}
