import TandemAPI

/// The rights of callers: the contract's table, one role a group. Pure; thread-safe.
enum Authorizer {
    /// Which objects a permitted call may touch.
    enum Scope: Sendable, Equatable {
        case everything
        /// A node's own agent: this node and its pods.
        case node(String)

        /// For the engine: the one node that may be touched, or nil for all.
        var onlyNode: String? { if case .node(let name) = self { name } else { nil } }
    }

    /// The scope of a call of the method, or why it is refused: UNAUTHENTICATED without a certificate, else
    /// PERMISSION_DENIED. `target` is asked for only where the answer depends on it.
    static func authorize(
        _ method: Method, _ target: () -> CallTarget, for session: RPCSession
    ) throws(APIError) -> Scope {
        if method == .discover { return .everything }
        let identity: Identity
        switch session.caller {
        case .success(let caller): identity = caller
        case .failure(let stranger):
            throw APIError(.unauthenticated, reason: "Unauthorized", "\(method.rawValue) needs \(stranger)")
        }
        if identity.groups.contains(where: { permits($0, method, target) }) { return .everything }
        if let node = identity.node, permits(node: node, method, target) { return .node(node) }
        throw APIError(
            .permissionDenied, reason: "Forbidden",
            "\"\(identity.user)\" with groups [\(identity.groups.joined(separator: ", "))] may not "
                + identity.refusedAction(method, target))
    }

    /// Whether `/metrics` may be read.
    static func mayReadMetrics(_ identity: Identity) -> Bool {
        isAdministrator(identity) || identity.groups.contains("tandem:viewer")
    }

    static func isAdministrator(_ identity: Identity) -> Bool {
        identity.groups.contains(where: administrators.contains)
    }

    private static let administrators = ["system:masters", "tandem:admin"]

    private static func permits(_ group: String, _ method: Method, _ target: () -> CallTarget) -> Bool {
        switch group {
        case _ where administrators.contains(group): true
        case "tandem:services":
            switch method {
            case .allocateServiceIPs, .updateServiceIPs, .getService, .listServices, .lookupIP, .getPools: true
            case .getPoolMap: !target().isForPods
            case .release: target().released.isSubset(of: .service)
            case .watch: target().watched == .service
            case .unwatch: true
            default: false
            }
        case "tandem:pods":
            switch method {
            case .allocateNodeCIDRs, .getNode, .listNodes, .allocatePodIPs, .getPod, .listPods, .checkNode, .lookupIP,
                .getPools:
                true
            case .getPoolMap: target().isForPods
            case .release: target().released.isDisjoint(with: .service)
            case .watch: target().watched.isDisjoint(with: .service)
            case .unwatch: true
            default: false
            }
        case "tandem:viewer":
            switch method {
            case .getService, .listServices, .getNode, .listNodes, .getPod, .listPods, .checkNode, .lookupIP, .getPools,
                .getPoolMap, .watch, .unwatch:
                true
            default: false
            }
        default: false
        }
    }

    /// Services are asked for by name: without `kinds` those that are on a node are meant.
    private static func isForServices(_ target: CallTarget) -> Bool {
        target.watched.contains(.service) && target.watched != WatchQuery.allKinds
    }

    /// A node's agent: its own node and that node's pods. `GetPod` and `Release` need not name the node; the engine, which
    /// knows where the pod lies, holds them to the scope.
    private static func permits(node: String, _ method: Method, _ target: () -> CallTarget) -> Bool {
        switch method {
        case .allocateNodeCIDRs, .allocatePodIPs: target().nodeName == node && !target().isAdoption
        case .getNode, .listPods, .checkNode: target().nodeName == node
        case .getPod: (target().nodeName ?? node) == node
        case .release:
            target().released.isSubset(of: [.pod, .attachment]) && (target().nodeName ?? node) == node
        // Of the kinds that may be seen with a node's name.
        case .watch: target().nodeName == node && !isForServices(target())
        case .unwatch: true
        default: false
        }
    }
}

extension CallTarget {
    /// The pool is one of nodes or pods.
    fileprivate var isForPods: Bool { pool.map { $0.hasPrefix("nodes-") || $0.hasPrefix("pods-") } ?? false }
}

extension Authorizer {
    /// The kinds of holders that a caller may be shown by CIDR: Services, Pods or both.
    static func visibleHolders(_ identity: Identity) -> KindSet {
        var kinds: KindSet = []
        for group in identity.groups {
            switch group {
            case _ where administrators.contains(group), "tandem:viewer": return [.service, .pod]
            case "tandem:services": kinds.insert(.service)
            case "tandem:pods": kinds.insert(.pod)
            default: break
            }
        }
        return kinds
    }
}

extension RPCSession {
    /// The missing credential of an unknown caller, in words that go on from "it needs".
    struct Stranger: Error, CustomStringConvertible {
        let description: String
    }

    /// The current caller.
    var caller: Result<Identity, Stranger> {
        if let identity {
            guard identity.hasEnded else { return .success(identity) }
            return .failure(
                Stranger(
                    description:
                        "a certificate that is valid: that of \"\(identity.user)\" has ended since the connection began"
                ))
        }
        if let nameFault {
            return .failure(
                Stranger(
                    description:
                        "a client certificate that names one user, by its CN: the subject of the one shown \(nameFault)"
                ))
        }
        return .failure(Stranger(description: "a client certificate; present one signed by the server's client CA"))
    }
}

extension Identity {
    /// NAME of a user `system:node:NAME` in the group `system:nodes`; either alone is no node.
    fileprivate var node: String? {
        let prefix = "system:node:"
        guard groups.contains("system:nodes"), user.hasPrefix(prefix), user.count > prefix.count else { return nil }
        return String(user.dropFirst(prefix.count))
    }

    fileprivate func refusedAction(_ method: Method, _ target: () -> CallTarget) -> String {
        if node != nil, target().isAdoption { return "adopt: a node's agent asks for addresses of its own" }
        if method == .watch, let node { return "watch anything but node \"\(node)\" and its pods, by nodeName" }
        if let node { return "call \(method.rawValue) for anything but node \"\(node)\" and its pods" }
        if method == .watch { return "watch all of these kinds of objects: name those that it may see" }
        guard method == .release else { return "call \(method.rawValue)" }
        return "release \(target().released.contains(.service) ? "Services" : "Pods, attachments or Nodes")"
    }
}
