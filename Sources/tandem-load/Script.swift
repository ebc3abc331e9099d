import TandemAPI

/// One request of a connection, with the facts needed when its answer comes.
struct LoadRequest: Sendable {
    enum Kind: Sendable {
        /// Allocates these names: one, or one for each call of a batch.
        case allocate([String])
        case read
        case release(String)
        /// No call: a connection that was made.
        case handshake

        var method: Method {
            switch self {
            case .allocate: .allocate
            case .read: .read
            case .release: .release
            case .handshake: .handshake
            }
        }
    }

    /// The kinds for which latencies are measured separately.
    enum Method: CaseIterable, Sendable {
        case allocate, read, release, handshake

        /// As the contract names it.
        func name(_ workload: LoadPlan.Workload) -> String {
            switch self {
            case .allocate: workload == .pods ? "AllocatePodIPs" : "AllocateServiceIPs"
            case .read: "GetService"
            case .release: "Release"
            case .handshake: "handshake"
            }
        }
    }

    var kind: Kind
    /// Without its line break.
    var message: [UInt8]

    var calls: Int { if case .allocate(let names) = kind { names.count } else { 1 } }
}

/// The calls of one connection, step by step. Deterministic but for the order in which answers come.
struct Script {
    private let plan: LoadPlan
    private let connection: Int
    private var random: SplitMix
    private var counter = 0
    private var lastID = 0
    /// The objects that this connection allocated and did not release, with the addresses as the server wrote them.
    private(set) var held: [String: [UInt8]] = [:]
    /// The names of `held` in an order that costs nothing to draw from.
    private var names: [String] = []
    /// Names with a release in flight, or without an answer: their state is not known.
    private(set) var unsettled: Set<String> = []
    /// How many names `churn` keeps.
    var target = 0

    init(_ plan: LoadPlan, connection: Int) {
        self.plan = plan
        self.connection = connection
        random = SplitMix(state: UInt64(connection) &* 0x9e37_79b9_7f4a_7c15 &+ 1)
    }

    mutating func next() -> LoadRequest {
        switch plan.workload {
        case .pods where plan.node != nil: return release() ?? allocate()
        case .services, .handshakes, .pods: return allocate()
        case .batch: return allocateBatch()
        case .churn: return names.count < target ? allocate() : release() ?? allocate()
        case .mixed:
            let draw = Int(random.next() % 100)
            if draw < plan.shares[0] { return allocate() }
            if draw < plan.shares[0] + plan.shares[1] { return read() ?? allocate() }
            return release() ?? allocate()
        }
    }

    // MARK: Requests

    private mutating func allocate() -> LoadRequest {
        let name = freshName()
        return LoadRequest(kind: .allocate([name]), message: allocation(of: name))
    }

    private mutating func allocateBatch() -> LoadRequest {
        let names = (0..<plan.batchSize).map { _ in freshName() }
        var message = [UInt8(ascii: "[")]
        for (index, name) in names.enumerated() {
            if index > 0 { message.append(UInt8(ascii: ",")) }
            message += allocation(of: name)
        }
        message.append(UInt8(ascii: "]"))
        return LoadRequest(kind: .allocate(names), message: message)
    }

    private mutating func read() -> LoadRequest? {
        guard let name = names.randomElement(using: &random) else { return nil }
        return LoadRequest(kind: .read, message: envelope("GetService", #""service":{"metadata":\#(metadata(name))}"#))
    }

    private mutating func release() -> LoadRequest? {
        guard !names.isEmpty else { return nil }
        let index = Int(random.next() % UInt64(names.count))
        let name = names[index]
        names.swapAt(index, names.count - 1)
        names.removeLast()
        unsettled.insert(name)
        let object = plan.workload == .pods ? "pod" : "service"
        return LoadRequest(
            kind: .release(name), message: envelope("Release", #""\#(object)":{"metadata":\#(metadata(name))}"#))
    }

    private mutating func allocation(of name: String) -> [UInt8] {
        guard plan.workload == .pods else {
            return envelope(
                "AllocateServiceIPs",
                #""service":{"metadata":\#(metadata(name)),"spec":{"ipFamilyPolicy":"PreferDualStack"}}"#)
        }
        let node = plan.node ?? plan.nodeName((connection + counter) % plan.nodes)
        return envelope(
            "AllocatePodIPs",
            #""pod":{"metadata":\#(metadata(name)),"spec":{"nodeName":"\#(node)"}},"attachment":{"containerID":"\#(name)"}"#
        )
    }

    private mutating func freshName() -> String {
        counter += 1
        let name = "c\(connection)-\(counter)"
        unsettled.insert(name)
        return name
    }

    private func metadata(_ name: String) -> String {
        #"{"namespace":"\#(plan.namespace)","name":"\#(name)"}"#
    }

    private mutating func envelope(_ method: String, _ params: String) -> [UInt8] {
        lastID += 1
        return Array(#"{"jsonrpc":"2.0","id":\#(lastID),"method":"\#(method)","params":{\#(params)}}"#.utf8)
    }

    // MARK: Answers

    /// Processes the answers of a request; returns how many of its calls were refused, and the reason of the first.
    mutating func finish(_ request: LoadRequest, _ answers: [LoadAnswer]) -> (refused: Int, reason: String?) {
        var refused = 0
        var reason: String?
        for answer in answers {
            if let error = answer.error {
                refused += 1
                reason = reason ?? error
            }
        }
        switch request.kind {
        case .read, .handshake: break
        case .release(let name): if refused == 0 { settle(name, nil) }
        case .allocate(let names):
            for (name, answer) in zip(names, answers) where answer.error == nil { settle(name, answer.addresses) }
        }
        return (refused, reason)
    }

    private mutating func settle(_ name: String, _ addresses: [UInt8]?) {
        unsettled.remove(name)
        held[name] = addresses
        if addresses != nil { names.append(name) }
    }
}

/// SplitMix64.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
