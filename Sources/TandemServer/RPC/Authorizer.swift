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

    /// The scope of the call, or why it is refused: UNAUTHENTICATED without a certificate, else PERMISSION_DENIED.
    static func authorize(_ call: Call, by identity: Identity?) throws(APIError) -> Scope {
        if call.method == .discover { return .everything }
        guard let identity else {
            throw APIError(
                .unauthenticated, reason: "Unauthorized",
                "\(call.method.rawValue) needs a client certificate; present one signed by the server's client CA")
        }
        if identity.groups.contains(where: { permits($0, call) }) { return .everything }
        if let node = identity.node, permits(node: node, call) { return .node(node) }
        throw APIError(
            .permissionDenied, reason: "Forbidden",
            "\"\(identity.user)\" with groups [\(identity.groups.joined(separator: ", "))] may not "
                + "\(call.refusedAction(for: identity))")
    }

    /// Whether `/metrics` may be read.
    static func mayReadMetrics(_ identity: Identity?) -> Bool {
        isAdministrator(identity) || identity?.groups.contains("tandem:viewer") ?? false
    }

    static func isAdministrator(_ identity: Identity?) -> Bool {
        identity?.groups.contains(where: administrators.contains) ?? false
    }

    private static let administrators: Set<String> = ["system:masters", "tandem:admin"]

    private static func permits(_ group: String, _ call: Call) -> Bool {
        if administrators.contains(group) { return true }
        switch (group, call.method) {
        case ("tandem:services", .allocateServiceIPs), ("tandem:services", .updateServiceIPs),
            ("tandem:services", .getService), ("tandem:services", .listServices),
            ("tandem:services", .lookupIP), ("tandem:services", .getPools):
            return true
        case ("tandem:pods", .allocateNodeCIDRs), ("tandem:pods", .getNode), ("tandem:pods", .listNodes),
            ("tandem:pods", .allocatePodIPs), ("tandem:pods", .getPod), ("tandem:pods", .listPods),
            ("tandem:pods", .lookupIP), ("tandem:pods", .getPools):
            return true
        case ("tandem:viewer", .getService), ("tandem:viewer", .listServices), ("tandem:viewer", .getNode),
            ("tandem:viewer", .listNodes), ("tandem:viewer", .getPod), ("tandem:viewer", .listPods),
            ("tandem:viewer", .lookupIP), ("tandem:viewer", .getPools):
            return true
        case ("tandem:services", .release): return call.releasesService
        case ("tandem:pods", .release): return !call.releasesService
        default: return false
        }
    }

    /// A node's agent: its own node and that node's pods. `GetPod` and `Release` name no node; the engine, which knows
    /// where the pod lies, holds them to the scope.
    private static func permits(node: String, _ call: Call) -> Bool {
        switch call.body {
        case .allocateNodeCIDRs(let asked): asked.metadata.name == node
        case .getNode(let metadata): metadata.name == node
        case .allocatePodIPs(let request): request.pod.nodeName == node
        case .listPods(let query): query.nodeName == node
        case .getPod, .release(.pod), .release(.attachment): true
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
}

extension Call {
    fileprivate var releasesService: Bool {
        if case .release(.service) = body { true } else { false }
    }

    fileprivate func refusedAction(for identity: Identity) -> String {
        if let node = identity.node { return "call \(method.rawValue) for anything but node \"\(node)\" and its pods" }
        if method == .release { return "release \(releasesService ? "Services" : "Pods, attachments or Nodes")" }
        return "call \(method.rawValue)"
    }
}
