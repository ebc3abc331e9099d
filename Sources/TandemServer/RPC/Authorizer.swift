import TandemAPI

/// Who may call what: the contract's table, one role a group. Pure; thread-safe.
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
        _ method: Method, _ target: () -> CallTarget, by identity: Identity?
    ) throws(APIError) -> Scope {
        if method == .discover { return .everything }
        guard let identity else {
            throw APIError(
                .unauthenticated, reason: "Unauthorized",
                "\(method.rawValue) needs a client certificate; present one signed by the server's client CA")
        }
        guard !identity.hasEnded else {
            throw APIError(
                .unauthenticated, reason: "Unauthorized",
                "the certificate of \"\(identity.user)\" has ended since the connection began; connect with one that has not"
            )
        }
        if identity.groups.contains(where: { permits($0, method, target) }) { return .everything }
        if let node = identity.node, permits(node: node, method, target) { return .node(node) }
        throw APIError(
            .permissionDenied, reason: "Forbidden",
            "\"\(identity.user)\" with groups [\(identity.groups.joined(separator: ", "))] may not "
                + identity.refusedAction(method, target))
    }

    /// Whether `/metrics` may be read.
    static func mayReadMetrics(_ identity: Identity?) -> Bool {
        isAdministrator(identity) || identity?.groups.contains("tandem:viewer") ?? false
    }

    static func isAdministrator(_ identity: Identity?) -> Bool {
        identity?.groups.contains(where: administrators.contains) ?? false
    }

    private static let administrators = ["system:masters", "tandem:admin"]

    private static func permits(_ group: String, _ method: Method, _ target: () -> CallTarget) -> Bool {
        switch group {
        case _ where administrators.contains(group): true
        case "tandem:services":
            switch method {
            case .allocateServiceIPs, .updateServiceIPs, .getService, .listServices, .lookupIP, .getPools: true
            case .release: target().released.isSubset(of: .service)
            default: false
            }
        case "tandem:pods":
            switch method {
            case .allocateNodeCIDRs, .getNode, .listNodes, .allocatePodIPs, .getPod, .listPods, .checkNode, .lookupIP,
                .getPools:
                true
            case .release: target().released.isDisjoint(with: .service)
            default: false
            }
        case "tandem:viewer":
            switch method {
            case .getService, .listServices, .getNode, .listNodes, .getPod, .listPods, .checkNode, .lookupIP, .getPools:
                true
            default: false
            }
        default: false
        }
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
        default: false
        }
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
        if let node { return "call \(method.rawValue) for anything but node \"\(node)\" and its pods" }
        guard method == .release else { return "call \(method.rawValue)" }
        return "release \(target().released.contains(.service) ? "Services" : "Pods, attachments or Nodes")"
    }
}
