import NIOCore
import NIOHTTP1
import NIOPosix
public import TandemAPI

/// A client of a Kubernetes API server. Objects are JSON, as they come. Thread-safe; nothing here blocks.
///
/// Each request has one deadline for all its attempts. After a 429 it waits and retries; a refused token is
/// read again, once. A request that may have been carried out is not sent a second time: a caller whose error says `mayHaveBeenApplied` has to find out.
public final class KubeClient: Sendable {
    public let configuration: KubeConfiguration
    package let clock: KubeClock
    let loop: any EventLoop
    private let pool: NIOLoopBoundBox<ConnectionPool>

    /// Connects when there is something to send.
    public convenience init(_ configuration: KubeConfiguration) {
        self.init(configuration, clock: .system)
    }

    package init(_ configuration: KubeConfiguration, clock: KubeClock) {
        self.configuration = configuration
        self.clock = clock
        loop = MultiThreadedEventLoopGroup.singleton.next()
        pool = NIOLoopBoundBox.makeBoxSendingValue(ConnectionPool(configuration, loop), eventLoop: loop)
    }

    deinit {
        loop.execute { [pool] in pool.value.close() }
    }

    /// Ends everything; further requests fail at once.
    public func shutDown() {
        loop.execute { [pool] in pool.value.close() }
    }

    // MARK: Objects

    public func get(_ name: KubeObjectName, timeout: Duration? = nil) async throws(KubeError) -> JSONValue {
        try await object(HTTPRequest(method: .GET, path: name.path()), timeout)
    }

    /// As it is stored.
    @discardableResult
    public func create(
        _ object: JSONValue, in collection: KubeCollection, timeout: Duration? = nil
    ) async throws(KubeError) -> JSONValue {
        try await self.object(
            HTTPRequest(method: .POST, path: collection.resource.path(collection.namespace), body: Self.bytes(object)),
            timeout)
    }

    /// Replaces an object: with a `metadata.resourceVersion` only where the stored one still has it.
    @discardableResult
    public func replace(
        _ name: KubeObjectName, with object: JSONValue, timeout: Duration? = nil
    ) async throws(KubeError) -> JSONValue {
        try await self.object(HTTPRequest(method: .PUT, path: name.path(), body: Self.bytes(object)), timeout)
    }

    /// Merges into an object (RFC 7386): lists are replaced, null removes. The object as it is then.
    ///
    /// With `metadata.uid` it must be that object (else `invalid`), with `metadata.resourceVersion` that version of it (else `conflict`).
    @discardableResult
    public func patch(
        _ name: KubeObjectName, _ part: KubePart, _ patch: JSONValue, timeout: Duration? = nil
    ) async throws(KubeError) -> JSONValue {
        try await object(
            HTTPRequest(
                method: .PATCH, path: name.path(part), contentType: "application/merge-patch+json",
                body: Self.bytes(patch)),
            timeout)
    }

    /// The same of all but its status.
    @discardableResult
    public func patch(
        _ name: KubeObjectName, _ patch: JSONValue, timeout: Duration? = nil
    ) async throws(KubeError) -> JSONValue {
        try await self.patch(name, .main, patch, timeout: timeout)
    }

    /// Asks for its end: with finalizers, or a pod, it is there for a while still.
    public func delete(_ name: KubeObjectName, timeout: Duration? = nil) async throws(KubeError) {
        _ = try await object(HTTPRequest(method: .DELETE, path: name.path()), timeout)
    }

    private static func bytes(_ value: JSONValue) -> ByteBuffer { ByteBuffer(bytes: value.text.bytes) }

    func object(_ request: HTTPRequest, _ timeout: Duration?) async throws(KubeError) -> JSONValue {
        let deadline = clock.now() + (timeout ?? configuration.requestTimeout)
        let response = try await send(request, until: deadline)
        let body = try await whole(response)
        do throws(JSONError) {
            return try JSONValue(parsing: body)
        } catch {
            throw .malformed("\(error)")
        }
    }

    // MARK: Requests

    /// The answer, which is no refusal.
    func send(
        _ request: HTTPRequest, until deadline: Duration, watching: Duration? = nil
    ) async throws(KubeError) -> HTTPResponse {
        var hasNewToken = false
        while true {
            let token = try await configuration.token.token(now: clock.now())
            let left = deadline - clock.now()
            guard left > .zero else { throw .noAnswer(mayHaveBeenApplied: false) }
            let response = try await send(request, token, left, watching)
            guard !(200...299).contains(response.status) else { return response }
            let error = Status.error(
                response.status, body: try await whole(response), retryAfter: Status.retryAfter(response.retryAfter))
            switch error.code {
            case .unauthorized where !hasNewToken && configuration.token.refused(token): hasNewToken = true
            case .tooManyRequests:
                // The server has done nothing.
                let pause = max(error.retryAfter ?? .seconds(1), .milliseconds(100))
                guard clock.now() + pause < deadline else { throw error }
                do { try await clock.sleep(pause) } catch { throw .cancelled }
            default: throw error
            }
        }
    }

    private func send(
        _ request: HTTPRequest, _ token: String?, _ timeout: Duration, _ watching: Duration?
    ) async throws(KubeError) -> HTTPResponse {
        let promise = loop.makePromise(of: HTTPResponse.self)
        let exchange = NIOLoopBoundBox<Exchange?>.makeEmptyBox(valueType: Exchange.self, eventLoop: loop)
        loop.execute { [pool, configuration] in
            let made = Exchange(
                request, request.head(configuration.address, token: token), headTimeout: TimeAmount(timeout),
                bodyTimeout: TimeAmount(watching ?? timeout),
                silence: watching.map { _ in TimeAmount(configuration.watchSilence) }, promise)
            exchange.value = made
            pool.value.submit(made)
        }
        do {
            return try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                loop.execute { exchange.value?.end(.cancelled) }
            }
        } catch {
            throw KubeError(wrapping: error)
        }
    }

    /// All of an answer's bytes.
    private func whole(_ response: HTTPResponse) async throws(KubeError) -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            for try await chunk in response.body {
                guard bytes.count + chunk.readableBytes <= configuration.maximumAnswerBytes else {
                    throw KubeError(
                        .tooLarge, "the answer is longer than \(configuration.maximumAnswerBytes) bytes",
                        mayHaveBeenApplied: true)
                }
                bytes += chunk.readableBytesView
            }
        } catch {
            throw KubeError(wrapping: error)
        }
        // A reader that is cancelled sees the end.
        guard !Task.isCancelled else { throw .cancelled }
        return bytes
    }
}

extension KubeError {
    init(wrapping error: any Error) {
        switch error {
        case let error as KubeError: self = error
        case is CancellationError: self = .cancelled
        default: self = KubeError(.connectionLost, "\(error)", mayHaveBeenApplied: true)
        }
    }
}

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(min(seconds, 1_000_000) * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
