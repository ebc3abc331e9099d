import Addressing
import LineLogs
import Logging
import Measures
import TandemAPI

/// The records of calls: a line in the log of those that were refused (one a second for each cause and caller, unless
/// the level is debug), and an entry in the audit log of each that would change something. Thread-safe; never blocks.
struct CallRecords: Sendable {
    let logger: Logger
    /// nil where none is kept.
    let audit: AuditLog?
    private let lines: LineLimits

    init(logger: Logger, lines: LineLimits = LineLimits(), audit: AuditLog?) {
        self.logger = logger
        self.lines = lines
        self.audit = audit
    }

    /// Before the answer goes.
    func note(
        _ request: RPCRequest, _ method: Method?, _ session: RPCSession, _ outcome: Result<CallResult, APIError>
    ) {
        if let audit { note(in: audit, request, method, session, outcome) }
        if let error = outcome.failure { noteRefused(request, method, session, error) }
    }

    private func note(
        in audit: AuditLog, _ request: RPCRequest, _ method: Method?, _ session: RPCSession,
        _ outcome: Result<CallResult, APIError>
    ) {
        // A client without a certificate changes nothing, and may call without end.
        guard let method, let identity = session.identity, audit.policy == .all || request.wouldChange else { return }
        var calls = 1
        if let error = outcome.failure, error.isOfCaller {
            guard let line = audit.refusals.note(method.rawValue, session.lineCaller) else { return }
            calls = line.count
        }
        let call = try? request.call.get()
        audit.note(
            AuditLog.Entry(
                time: Timestamp.now(), method: method, id: request.id, identity: identity, peer: session.peerText,
                calls: calls, isDryRun: call?.isDryRun ?? false, object: call?.object ?? "",
                outcome: outcome.map(\.effect)))
    }

    func noteRefused(_ request: RPCRequest?, _ method: Method?, _ session: RPCSession, _ error: APIError) {
        let level = error.status.logLevel(of: method)
        guard level >= logger.logLevel else { return }
        var metadata: Logger.Metadata = [:]
        if logger.logLevel > .debug {
            guard let line = lines.note(error.reason, session.lineCaller) else { return }
            metadata = line.metadata("calls")
        }
        metadata["status"] = "\(error.status.name)"
        metadata["reason"] = "\(error.reason)"
        metadata["error"] = "\(error.message)"
        metadata["peer"] = "\(session.peerText)"
        if let method { metadata["method"] = "\(method.rawValue)" }
        if let id = request?.id {
            // No more is copied than is shown: it may be as long as the message.
            metadata["id"] = "\(String(decoding: id.bytes.prefix(101), as: UTF8.self).cut(toBytes: 100))"
        }
        if let identity = session.identity { metadata["user"] = "\(identity.user)" }
        if let object = (try? request?.call.get())?.object, !object.isEmpty { metadata["object"] = "\(object)" }
        logger.log(level: level, "refused", metadata: metadata)
    }
}

extension APIError.Status {
    /// Failures of the server are for its operator to see; faults of a client's call are for debugging.
    fileprivate func logLevel(of method: Method?) -> Logger.Level {
        switch self {
        case .internal: .error
        case .unavailable, .resourceExhausted, .deadlineExceeded: .warning
        // The answer to a look, as tandemctl takes one before each of its writes.
        case .notFound where method.map(Self.looks.contains) ?? false: .debug
        default: .info
        }
    }
}

extension APIError {
    /// The caller has no right to any such call.
    fileprivate var isOfCaller: Bool { status == .permissionDenied || status == .unauthenticated }
}

extension APIError.Status {
    private static let looks: Set<Method> = [.getService, .getNode, .getPod]
}

extension RPCRequest {
    /// Nothing but its method is known of a call that its client may not make: it is taken for no dry run.
    fileprivate var wouldChange: Bool {
        switch call {
        case .success(let call): call.isChange
        case .failure(let error): method?.isChange ?? false && error.isOfCaller
        }
    }
}

extension Call {
    /// The object of the call, such as `Service shop/web`; empty where there is none.
    fileprivate var object: String {
        switch body {
        case .allocateServiceIPs(let service), .updateServiceIPs(let service): "Service \(service.metadata.path)"
        case .getService(let metadata), .release(.service(let metadata)): "Service \(metadata.path)"
        case .allocateNodeCIDRs(let node): "Node \(node.metadata.name)"
        case .getNode(let metadata), .checkNode(let metadata), .release(.node(let metadata, _)): "Node \(metadata.name)"
        case .allocatePodIPs(let request): "Pod \(request.pod.metadata.path)"
        case .getPod(let metadata, _), .release(.pod(let metadata, _)): "Pod \(metadata.path)"
        case .release(.attachment(let attachment)):
            "attachment \(attachment.containerID)/\(attachment.ifName ?? "*")"
        case .lookupIP(let address): address.description
        case .listHolders(let query): query.cidr.description
        case .getPoolMap(let query): query.pool
        case .listServices, .listNodes, .listPods, .getPools, .watch, .unwatch, .discover: ""
        }
    }
}

extension ObjectMeta {
    fileprivate var path: String { "\(namespace)/\(name)" }
}
