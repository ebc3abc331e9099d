import Addressing
import FaultyLog
import IPAM
import Ledger
import TandemAPI

/// Tests against the log: of each answer, and of each proposal as it lands.
extension Simulation {
    // MARK: Answers

    /// The answer gives the state of an object at some moment between the call and its answer, neither more nor less.
    func hold(_ result: Result<CallResult, APIError>, to asked: ClientCall, since start: Int, by server: Server) {
        let states = truth.states(of: asked.object, since: start)
        switch result {
        case .success(let result):
            tally.acknowledged += 1
            fingerprint = (fingerprint ^ UInt64(result.json.count)) &* 0x0000_0100_0000_01b3
            if server.hasLost { complain("\(asked.object.key) was answered though an outcome is not known") }
            if asked.call.isDryRun { return }
            if asked.act == .release { return holdRelease(result, asked, states, start) }
            guard let shown = Shown(result.json) else {
                return complain("\(asked.object.key): no object in the answer")
            }
            if let uid = shown.uid { note(uid: uid, of: asked.object) }
            if !states.contains(where: { $0.map(shown.isRecord) ?? false }) {
                let stored = states.map { $0.map { Self.text($0.form.document) } ?? "nothing" }
                complain(
                    "\(asked.object.key) was acknowledged by \(asked.act), and something else is stored: the answer is "
                        + "\(Self.text(result.json)), stored is \(stored.joined(separator: ", before it "))")
            }
        case .failure(let error): hold(error, asked, states, by: server)
        }
    }

    private func holdRelease(_ result: CallResult, _ asked: ClientCall, _ states: [StoredRecord?], _ start: Int) {
        func isGone(_ record: StoredRecord?) -> Bool {
            guard let record else { return true }
            return asked.uid.map { Shown.uid(record.form.document) != $0 } ?? false
        }
        if !states.contains(where: isGone) { complain("\(asked.object.key) was released, and is stored") }
        guard asked.object.kind != .node else { return }
        let held = states.compactMap(\.self).filter { asked.uid == nil || Shown.uid($0.form.document) == asked.uid }
            .flatMap(\.form.holdings).compactMap(\.address)
        for case .address(let address) in result.effect.released where !held.contains(address) {
            complain("\(address) was released, and was not \(asked.object.key)'s")
        }
    }

    private func hold(_ error: APIError, _ asked: ClientCall, _ states: [StoredRecord?], by server: Server) {
        tally.errors += 1
        let hasOneFamily = server.cluster.serviceRanges.count == 1
        switch error.status {
        case .unavailable, .resourceExhausted: break
        case .failedPrecondition where error.reason == "NodeHasPods" && asked.object.kind == .node && !asked.isForced:
            break
        case .failedPrecondition where error.reason == "NodeReleasing":
            let node = asked.node ?? asked.object
            if asked.node == nil, !states.contains(where: { $0?.isReleasing ?? false }) {
                complain("\(node.key) is being released, it is said, and is not")
            }
        case .notFound where asked.act == .look || asked.act == .update:
            if !states.contains(where: { $0 == nil }) { complain("\(asked.object.key) is stored, and was not found") }
        // A Service that must have both families, at a server that has one.
        case .invalidArgument where asked.object.kind == .service && hasOneFamily: break
        default: complain("\(asked.object.key), \(asked.act): \(error.status) \(error.message)")
        }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    static func names(_ record: StoredRecord, _ result: CallResult) -> Bool {
        Shown.uid(record.form.document) == Shown.uid(result.json)
    }

    // MARK: Proposals

    /// A client asked this server for each change; it is a whole one; and no address gets a second owner.
    func hold(_ proposal: Proposal, by server: Server, _ before: SlowBooks) {
        for change in proposal.changes {
            switch change {
            case .put(let key, let form):
                let isAsked = server.isAsked { asked in
                    (asked.act == .allocate || asked.act == .update) && (asked.object == key || asked.node == key)
                }
                if !isAsked { complain("\(key.key) was written, and nobody asked for it") }
                hold(form, of: key, by: server, before.tables.records[key])
            case .delete(let key):
                let uid = before.tables.records[key].flatMap { Shown.uid($0.form.document) }
                let node = key.kind == .pod ? ClientCall.node(ofPod: key.key) : nil
                let isAsked = server.isAsked { asked in
                    guard asked.act == .release else { return false }
                    if asked.object == key { return asked.uid == nil || asked.uid == uid }
                    return asked.object == node && asked.isForced
                }
                if !isAsked { complain("\(key.key) was removed, and nobody asked for it") }
            case .markReleasing(let name):
                let node = ObjectKey(.node, name)
                if !server.isAsked({ $0.act == .release && $0.object == node }) {
                    complain("\(name) was marked, and nobody releases it")
                }
            case .cool, .thaw: break
            }
        }
    }

    /// All or nothing: as many addresses as the policy says, of different families, and node ports for each port and the health checks.
    private func hold(_ form: StoredForm, of key: ObjectKey, by server: Server, _ old: StoredRecord?) {
        holdPorts(form, of: key, by: server)
        let addresses = form.holdings.filter { $0.port == nil }
        let main = addresses.filter { $0.pool != .loadBalancerIP }
        let families = Set(main.compactMap { $0.range?.family })
        let extra = addresses.count - main.count
        let counts: ClosedRange<Int>
        // A load balancer that prefers two addresses does with one where there is no room for the other.
        var balancers = [0, main.count]
        switch key.kind {
        case .service:
            if ClientCall.policy(of: key.key) == "PreferDualStack" { balancers.append(1) }
            switch ClientCall.policy(of: key.key) {
            case "SingleStack": counts = 1...1
            case "RequireDualStack": counts = 2...2
            default:
                counts = old == nil ? server.cluster.serviceRanges.count...server.cluster.serviceRanges.count : 1...2
            }
        case .pod, .node:
            let count = server.cluster.podFamilies.count
            counts = old == nil ? count...count : count...2
        case .cooling: return
        }
        if !counts.contains(main.count) || families.count != main.count || !balancers.contains(extra) {
            complain("\(key.key) holds \(form.holdings.compactMap(\.range)), and should hold \(counts) in each pool")
        }
    }
}

extension Simulation {
    private func holdPorts(_ form: StoredForm, of key: ObjectKey, by server: Server) {
        let document = Self.text(form.document)
        let ports = Set(form.holdings.compactMap(\.port))
        let isShown = ports.allSatisfy {
            document.contains("NodePort\":\($0)") || document.contains("nodePort\":\($0)")
        }
        let isLoadBalancer = document.contains(#""type":"LoadBalancer""#)
        let counts = isLoadBalancer ? (server.cluster.nodePortRange == nil ? 0...2 : 2...2) : 0...0
        if !isShown || !counts.contains(ports.count) {
            complain(
                "\(key.key) holds node ports \(ports.sorted()), and should hold \(counts) that it shows: \(document)")
        }
    }
}

/// An object in an answer: `{"service":{…}` and the members behind it.
private struct Shown {
    /// From the object on, without its version.
    private let text: [UInt8]
    private let version: UInt64
    let uid: String?

    private static let member = Array(#","resourceVersion":""#.utf8)
    private static let uidMember = Array(#""uid":""#.utf8)

    /// nil where there is no version.
    init?(_ json: [UInt8]) {
        guard let colon = json.firstIndex(of: UInt8(ascii: ":")), let start = Self.place(of: Self.member, in: json),
            let end = json[(start + Self.member.count)...].firstIndex(of: UInt8(ascii: "\"")),
            let version = UInt64(String(decoding: json[(start + Self.member.count)..<end], as: UTF8.self))
        else { return nil }
        text = Array(json[(colon + 1)..<start] + json[(end + 1)...])
        self.version = version
        uid = Self.uid(json)
    }

    func isRecord(_ record: StoredRecord) -> Bool {
        // A look at a pod shows its attachment as well.
        record.version == version && text.starts(with: record.form.document.dropLast())
    }

    static func uid(_ json: [UInt8]) -> String? {
        guard let start = place(of: uidMember, in: json) else { return nil }
        return String(decoding: json[(start + uidMember.count)...].prefix { $0 != UInt8(ascii: "\"") }, as: UTF8.self)
    }

    private static func place(of part: [UInt8], in text: [UInt8]) -> Int? {
        text.withUnsafeBufferPointer { text in
            part.withUnsafeBufferPointer { part in
                guard text.count >= part.count else { return nil }
                return (0...text.count - part.count).first { start in
                    part.indices.allSatisfy { text[start + $0] == part[$0] }
                }
            }
        }
    }
}
