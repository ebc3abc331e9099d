import NIOHTTP1
import TandemAPI

/// The paths beside `POST /rpc`: health, metrics, the OpenRPC document. Thread-safe.
final class Operations: Sendable {
    private let health: Health
    private let metrics: @Sendable () -> String
    let backups: BackupStream
    private let servers: ServerList

    /// `metrics` makes the Prometheus text.
    init(
        health: Health, backups: BackupStream, servers: ServerList, metrics: @escaping @Sendable () -> String
    ) {
        self.health = health
        self.backups = backups
        self.servers = servers
        self.metrics = metrics
    }

    var isDraining: Bool { health.isDraining }

    func answer(_ method: HTTPMethod, uri: String, for session: RPCSession) -> HTTPAnswer {
        let path = uri.prefix { $0 != "?" }
        let isVerbose = uri.dropFirst(path.count + 1).split(separator: "&").contains { $0.hasPrefix("verbose") }
        let body: () -> HTTPAnswer
        switch path {
        case "/livez": body = { Self.checks(self.health.liveness, "livez", isVerbose) }
        case "/readyz": body = { Self.checks(self.health.readiness, "readyz", isVerbose) }
        case "/healthz": body = { Self.checks(self.health.readiness, "healthz", isVerbose) }
        case "/openrpc.json":
            body = { HTTPAnswer(.ok, HTTPAnswer.json, CallResult.openRPC.json) }
        case "/metrics": body = { self.metricsAnswer(session) }
        case "/servers": body = { self.serversAnswer(session) }
        default:
            return .text(
                .notFound,
                "no such path; there are /rpc, /livez, /readyz, /healthz, /metrics, /servers, /openrpc.json and /backup\n"
            )
        }
        guard method == .GET || method == .HEAD else { return .wrongMethod(allowed: "GET, HEAD") }
        return body()
    }

    /// Why the client may not have a backup; nil if it may.
    func backupRefusal(_ method: HTTPMethod, for session: RPCSession) -> HTTPAnswer? {
        guard method == .GET else { return .wrongMethod(allowed: "GET") }
        return refusal("/backup", session, to: Authorizer.isAdministrator, "tandem:admin or system:masters")
    }

    private func serversAnswer(_ session: RPCSession) -> HTTPAnswer {
        refusal("/servers", session, to: Authorizer.mayReadMetrics, Self.viewers)
            ?? HTTPAnswer(.ok, HTTPAnswer.json, servers.json)
    }

    private func metricsAnswer(_ session: RPCSession) -> HTTPAnswer {
        refusal("/metrics", session, to: Authorizer.mayReadMetrics, Self.viewers)
            ?? HTTPAnswer(.ok, "text/plain; version=0.0.4; charset=utf-8", Array(metrics().utf8))
    }

    private static let viewers = "tandem:viewer, tandem:admin or system:masters"

    private func refusal(
        _ path: String, _ session: RPCSession, to isAllowed: (Identity) -> Bool, _ groups: String
    ) -> HTTPAnswer? {
        switch session.caller {
        case .failure(let stranger): .text(.unauthorized, "\(path) needs \(stranger)\n")
        case .success(let identity) where isAllowed(identity): nil
        case .success: .text(.forbidden, "\(path) needs a certificate of \(groups)\n")
        }
    }

    /// As Kubernetes' components answer: `ok`, or the list of checks where one fails or where it is asked for.
    private static func checks(_ checks: [Health.Check], _ name: String, _ isVerbose: Bool) -> HTTPAnswer {
        let isHealthy = checks.allSatisfy { $0.fault == nil }
        guard !isHealthy || isVerbose else { return .text(.ok, "ok") }
        var text = ""
        for check in checks {
            let note = check.note.map { ": \($0)" } ?? ""
            text += check.fault.map { "[-]\(check.name) failed: \($0)\n" } ?? "[+]\(check.name) ok\(note)\n"
        }
        text += "\(name) check \(isHealthy ? "passed" : "failed")\n"
        return .text(isHealthy ? .ok : .serviceUnavailable, text)
    }
}
