import Foundation
public import KubeAPI
import NIOCore
import NIOHTTP1
import NIOPosix
import OpenSSLTLS
import Synchronization
public import TandemAPI
import TestSupport

/// A Kubernetes API server over real TLS on loopback, with nodes, services, pods, leases, events and whatever else is put there, and with
/// the faults of a real one. Lists, watches, merge patches, `status`, finalizers, versions. Thread-safe; it ends with the test.
public final class FakeAPIServer: Sendable {
    public let port: Int
    private let directory = ScratchDirectory()
    private let state: Mutex<State>

    struct State {
        var store: FakeStore
        var tokens: Set<String> = ["token-1"]
        var faults: [FakeFault] = []
        var requests: [FakeRequest] = []
        var watchers: [Int: FakeWatcher] = [:]
        var nextWatcher = 0
        var channels: [ObjectIdentifier: any Channel] = [:]
        var listener: (any Channel)?
    }

    public init(_ rules: FakeRules = FakeRules()) async throws {
        state = Mutex(State(store: FakeStore(rules)))
        let certificates = Certificates.shared
        let tls = try TLSContext(
            server: TLSServerConfiguration(
                identity: TLSIdentity(
                    certificateChainFile: certificates.certificate("server"),
                    privateKeyFile: certificates.key("server")),
                clientCAFile: certificates.ca, applicationProtocols: ["http/1.1"]))
        let box = Box()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let server = box.server else { throw ChannelError.ioOnClosedChannel }
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(TLSHandler(context: tls))
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: false)
                    try pipeline.addHandler(FakeHandler(server))
                    server.opened(channel)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = listener.localAddress?.port ?? 0
        state.withLock { $0.listener = listener }
        box.set(self)
        write("token", "token-1")
        write("ca.crt", try String(contentsOfFile: certificates.ca, encoding: .utf8))
        write("namespace", "tandem")
        write("kubeconfig", kubeconfig())
    }

    deinit {
        state.withLock { state in
            state.listener?.close(promise: nil)
            for channel in state.channels.values { channel.close(promise: nil) }
        }
    }

    /// Connections come only once the server is whole.
    private final class Box: Sendable {
        private let value = Mutex<WeakServer?>(nil)
        var server: FakeAPIServer? { value.withLock { $0?.server } }
        func set(_ server: FakeAPIServer) { value.withLock { $0 = WeakServer(server: server) } }
    }

    private struct WeakServer {
        weak var server: FakeAPIServer?
    }

    // MARK: Credentials

    /// For an executable: `--kubeconfig`.
    public var kubeconfigFile: String { directory.path + "/kubeconfig" }
    /// As it is in a pod: `token`, `ca.crt`, `namespace`.
    public var serviceAccountDirectory: String { directory.path }

    /// A client's configuration, by the token in the file; with all the time that a busy machine may need.
    public var configuration: KubeConfiguration {
        get throws {
            var configuration = try KubeConfiguration.kubeconfig(kubeconfigFile)
            configuration.connectTimeout = .seconds(86_400)
            configuration.requestTimeout = .seconds(86_400)
            configuration.pageTimeout = .seconds(86_400)
            configuration.watchHeadTimeout = .seconds(86_400)
            configuration.watchSilence = .seconds(86_400)
            return configuration
        }
    }

    public func kubeconfig(user: String? = nil, cluster: String? = nil) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: fake
        contexts:
        - name: fake
          context: {cluster: fake, user: me, namespace: tandem}
        clusters:
        - name: fake
          cluster: \(cluster ?? "{server: 'https://127.0.0.1:\(port)', certificate-authority: ca.crt}")
        users:
        - name: me
          user: \(user ?? "{tokenFile: token}")

        """
    }

    @discardableResult
    public func write(_ name: String, _ text: String) -> String {
        let path = "\(directory.path)/\(name)"
        try? text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// From now on these tokens are good and no others; the file has the first of them.
    public func setTokens(_ tokens: [String]) {
        state.withLock { $0.tokens = Set(tokens) }
        write("token", tokens[0])
    }

    // MARK: Objects

    /// Puts an object there as it is, with a version, and a uid where it has none: by `metadata.name` and `metadata.namespace`.
    @discardableResult
    public func put(_ plural: String, _ object: JSONValue) -> JSONValue {
        change { $0.put(plural, object) }
    }

    /// The same of a text.
    @discardableResult
    public func put(_ plural: String, _ text: String) throws -> JSONValue { put(plural, try JSONValue(parsing: text)) }

    public func object(_ plural: String, _ name: String, in namespace: String? = nil) -> JSONValue? {
        state.withLock { $0.store.objects[.init(plural: plural, namespace: namespace ?? "", name: name)] }
    }

    /// In the order of their names.
    public func objects(_ plural: String) -> [JSONValue] {
        state.withLock { state in
            state.store.objects.filter { $0.key.plural == plural }.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    /// As a user deletes: with finalizers it stays, and has a `deletionTimestamp`.
    public func delete(_ plural: String, _ name: String, in namespace: String? = nil) {
        _ = change { $0.delete(.init(plural: plural, namespace: namespace ?? "", name: name)) }
    }

    /// Away with it, whatever holds it.
    public func remove(_ plural: String, _ name: String, in namespace: String? = nil) {
        change { $0.remove(plural, namespace, name) }
    }

    /// A merge patch of a user's; of the status with `part`. The answer's status and body.
    @discardableResult
    public func patch(
        _ plural: String, _ name: String, in namespace: String? = nil, _ patch: JSONValue, part: String? = nil
    ) -> (status: Int, body: JSONValue) {
        let answer = change {
            $0.patch(.init(plural: plural, namespace: namespace ?? "", name: name), patch, part: part)
        }
        return (answer.status, answer.body)
    }

    public var version: Int { state.withLock { $0.store.version } }

    /// Changes so far are forgotten: watches of older versions are answered with `gone`.
    public func compact() { state.withLock { $0.store.compact() } }

    /// As if etcd were restored from an older copy: versions that clients have seen are still to come.
    public func rewind(to version: Int) { state.withLock { $0.store.rewind(to: version) } }

    /// Says to all watches how far they are.
    public func bookmark() {
        state.withLock { state in
            for watcher in state.watchers.values { watcher.bookmark(state.store.version) }
        }
    }

    // MARK: Faults

    public func fail(_ fault: FakeFault) { state.withLock { $0.faults.append(fault) } }

    /// No fault is left.
    public func mend() { state.withLock { $0.faults = [] } }

    /// Ends all connections; new ones can be made.
    public func cutConnections() {
        let channels = state.withLock { Array($0.channels.values) }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(FakeHandler.Cut()) }
    }

    /// Ends all watches in an orderly way.
    public func endWatches() {
        state.withLock { state in
            for watcher in state.watchers.values { watcher.end() }
            state.watchers = [:]
        }
    }

    public var requests: [FakeRequest] { state.withLock { $0.requests } }
    public func forgetRequests() { state.withLock { $0.requests = [] } }
    /// Open connections.
    public var connectionCount: Int { state.withLock { $0.channels.count } }
    public var watchCount: Int { state.withLock { $0.watchers.count } }

    // MARK: Inside

    private func change<Result: Sendable>(_ body: (inout FakeStore) -> Result) -> Result {
        state.withLock { $0.change(body) }
    }

    func opened(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        state.withLock { $0.channels[id] = channel }
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.state.withLock { _ = $0.channels.removeValue(forKey: id) }
        }
    }

    enum Reply {
        case answer(FakeAnswer)
        case text(String)
        case hang
        case cut
        case goneLine
        case line(String)
        case tornLine(cutsConnection: Bool)
        case silence
        /// Under this number; lines follow.
        case watch(Int)
    }

    /// `hasCertificate`: the client has shown one of the tests' authority, which is as good as a token.
    func handle(
        _ request: FakeRequest, token: String?, hasCertificate: Bool, _ watcher: @autoclosure () -> FakeWatcher
    ) -> Reply {
        state.withLock { state in
            state.requests.append(request)
            guard hasCertificate || token.map(state.tokens.contains) ?? false else {
                return .answer(.refusal(401, "Unauthorized", "Unauthorized"))
            }
            if let index = state.faults.firstIndex(where: { $0.fits(request) }) {
                state.faults[index].count -= 1
                switch state.faults[index].effect {
                case .refuse(let code, let reason, let message, let retryAfter):
                    return .answer(.refusal(code, reason, message, retryAfter: retryAfter))
                case .hang: return .hang
                case .lose(let isApplied):
                    if isApplied { _ = state.serve(request) }
                    return .cut
                case .goneLine: return .goneLine
                case .line(let line): return .line(line)
                case .tornLine(let cutsConnection): return .tornLine(cutsConnection: cutsConnection)
                case .silence: return .silence
                case .answer(let text): return .text(text)
                }
            }
            guard request.isWatch else { return .answer(state.serve(request)) }
            guard let version = request.query["resourceVersion"].flatMap(Int.init) else {
                return .answer(.refusal(400, "BadRequest", "this server watches from a version alone"))
            }
            if version > state.store.version { return state.store.rules.isModern ? .hang : .silence }
            if version < state.store.compacted { return .goneLine }
            let watcher = watcher()
            for change in state.store.changes where change.version > version { watcher.tell(change) }
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = watcher
            return .watch(state.nextWatcher)
        }
    }

    func forget(watch number: Int) { state.withLock { _ = $0.watchers.removeValue(forKey: number) } }
}

extension FakeAPIServer.State {
    /// Every watch is told in the order of the changes.
    mutating func change<Result: Sendable>(_ body: (inout FakeStore) -> Result) -> Result {
        let before = store.version
        let result = body(&store)
        for change in store.changes.reversed().prefix(while: { $0.version > before }).reversed() {
            for watcher in watchers.values { watcher.tell(change) }
        }
        return result
    }

    mutating func serve(_ request: FakeRequest) -> FakeAnswer {
        guard let target = request.target else { return .refusal(404, "NotFound", "no such path") }
        guard let name = target.name else {
            switch request.method {
            case "GET": return store.list(target, request)
            case "POST": return change { $0.create(target, request.body) }
            default: return .refusal(405, "MethodNotAllowed", "not for a collection")
            }
        }
        let key = FakeStore.key(target, name)
        switch request.method {
        case "GET": return store.objects[key].map { .object($0) } ?? FakeStore.notFound(key)
        case "PUT": return change { $0.replace(key, request.body, part: target.part) }
        case "PATCH":
            guard request.contentType == "application/merge-patch+json" else {
                return .refusal(415, "UnsupportedMediaType", request.contentType)
            }
            return change { $0.patch(key, request.body, part: target.part) }
        case "DELETE": return change { $0.delete(key) }
        default: return .refusal(405, "MethodNotAllowed", request.method)
        }
    }
}
