import NIOHTTP1
import TandemAPI

/// What is served beside `POST /rpc`: health, metrics, the OpenRPC document. Thread-safe.
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

    func answer(_ method: HTTPMethod, uri: String, identity: Identity?) -> HTTPAnswer {
        let path = uri.prefix { $0 != "?" }
        let isVerbose = uri.dropFirst(path.count + 1).split(separator: "&").contains { $0.hasPrefix("verbose") }
        let body: () -> HTTPAnswer
        switch path {
        case "/livez": body = { Self.checks(self.health.liveness, "livez", isVerbose) }
        case "/readyz": body = { Self.checks(self.health.readiness, "readyz", isVerbose) }
        case "/healthz": body = { Self.checks(self.health.readiness, "healthz", isVerbose) }
        case "/openrpc.json":
            body = { HTTPAnswer(.ok, HTTPAnswer.json, CallResult.openRPC.json) }
        case "/metrics": body = { self.metricsAnswer(identity) }
        case "/servers": body = { self.serversAnswer(identity) }
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
    func backupRefusal(_ method: HTTPMethod, _ identity: Identity?) -> HTTPAnswer? {
        guard method == .GET else { return .wrongMethod(allowed: "GET") }
        guard identity != nil else { return .text(.unauthorized, "/backup needs a client certificate\n") }
        guard Authorizer.isAdministrator(identity) else {
            return .text(.forbidden, "/backup needs a certificate of tandem:admin or system:masters\n")
        }
        return nil
    }

    private func serversAnswer(_ identity: Identity?) -> HTTPAnswer {
        guard identity != nil else { return .text(.unauthorized, "/servers needs a client certificate\n") }
        guard Authorizer.mayReadMetrics(identity) else {
            return .text(.forbidden, "/servers needs a certificate of tandem:viewer, tandem:admin or system:masters\n")
        }
        return HTTPAnswer(.ok, HTTPAnswer.json, servers.json)
    }

    private func metricsAnswer(_ identity: Identity?) -> HTTPAnswer {
        guard identity != nil else { return .text(.unauthorized, "/metrics needs a client certificate\n") }
        guard Authorizer.mayReadMetrics(identity) else {
            return .text(.forbidden, "/metrics needs a certificate of tandem:viewer, tandem:admin or system:masters\n")
        }
        return HTTPAnswer(.ok, "text/plain; version=0.0.4; charset=utf-8", Array(metrics().utf8))
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
