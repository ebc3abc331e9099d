public import NIOCore
import NIOPosix

/// A client of an etcd cluster: gRPC over one connection, to one member at a time. Thread-safe; nothing here blocks.
///
/// A call that can't be sent waits for a connection until its deadline. One that was sent is never sent again by the client: a
/// caller whose error says `mayHaveBeenApplied` has to find out. (A refused token is no exception: etcd did nothing.)
/// Callbacks run on the client's event loop, in the order of the events, each call's once; they must not block.
public final class EtcdClient: Sendable {
    public let configuration: EtcdConfiguration
    private let eventLoop: any EventLoop
    private let dispatcher: NIOLoopBoundBox<Dispatcher>

    /// Connects when there is something to send. Without an event loop, one of the process's.
    public convenience init(_ configuration: EtcdConfiguration) {
        self.init(configuration, on: MultiThreadedEventLoopGroup.singleton.next())
    }

    public init(_ configuration: EtcdConfiguration, on eventLoop: any EventLoop) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        let connector = TCPConnector(eventLoop: eventLoop, timeout: configuration.connectTimeout)
        dispatcher = NIOLoopBoundBox.makeBoxSendingValue(
            Dispatcher(configuration, eventLoop, connector.connect), eventLoop: eventLoop)
    }

    deinit {
        close()
    }

    /// Asks for one answer. The request is encoded here, on the caller's thread.
    ///
    /// It fails when `deadline` passes: with `unavailable`, surely not applied, where no member could be reached until then,
    /// else with `deadlineExceeded`. A member that has been silent all the while is left for the next one.
    public func call<Request: EtcdRequest>(
        _ request: Request, deadline: NIODeadline,
        then: @escaping @Sendable (Result<Request.Response, EtcdError>) -> Void
    ) {
        let message = GRPCMessageBuffer.frame(request.encode)
        eventLoop.execute {
            let dispatcher = self.dispatcher.value
            dispatcher.submit(
                .call(
                    Request.self, message, deadline, check: dispatcher.error(ofAnswerFrom:), then: then))
        }
    }

    /// Watches keys until the watch is cancelled, its connection is lost or left, or etcd ends it; then it is the caller's to go
    /// on. A watch that has not begun at `deadline` fails as a call does.
    @discardableResult
    public func watch(
        _ request: WatchRequest, deadline: NIODeadline, onUpdate: @escaping @Sendable (WatchUpdate) -> Void
    ) -> EtcdWatch {
        let message = GRPCMessageBuffer.frame(request.encode)
        let watch = EtcdWatch(eventLoop)
        eventLoop.execute {
            let dispatcher = self.dispatcher.value
            let exchange = Exchange.watch(request, message, deadline, dispatcher, self.configuration, onUpdate)
            watch.begin(exchange, dispatcher)
            dispatcher.submit(exchange)
        }
        return watch
    }

    /// Goes to the next member if this connection is still the one in use. For a caller that sees more than the client: a
    /// watch that is silent while it should not be.
    public func leave(_ connection: EtcdConnectionID) {
        eventLoop.execute { self.dispatcher.value.leave(connection) }
    }

    /// Ends everything; further calls fail at once.
    public func close() {
        eventLoop.execute { [dispatcher] in dispatcher.value.close() }
    }
}

/// A watch that was begun. Thread-safe.
public final class EtcdWatch: Sendable {
    private let eventLoop: any EventLoop
    private let course: NIOLoopBoundBox<(Exchange, Dispatcher)?>

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        course = NIOLoopBoundBox.makeBoxSendingValue(nil, eventLoop: eventLoop)
    }

    func begin(_ exchange: Exchange, _ dispatcher: Dispatcher) {
        course.value = (exchange, dispatcher)
    }

    /// Ends it, with `cancelled` as the last update, unless it has ended before.
    public func cancel() {
        eventLoop.execute {
            guard let (exchange, dispatcher) = self.course.value else { return }
            dispatcher.cancel(exchange)
        }
    }

    /// Lets the member keep further events, but for `MemberConnection.streamWindowBytes` of them; for a caller that
    /// does not keep up. Updates in flight may still come.
    public func pause() { setReading(false) }

    public func resume() { setReading(true) }

    private func setReading(_ isReading: Bool) {
        eventLoop.execute {
            guard let (exchange, _) = self.course.value else { return }
            exchange.setReading(isReading)
        }
    }
}

extension Exchange {
    static func watch(
        _ request: WatchRequest, _ message: ByteBuffer, _ deadline: NIODeadline, _ dispatcher: Dispatcher,
        _ configuration: EtcdConfiguration, _ onUpdate: @escaping (WatchUpdate) -> Void
    ) -> Exchange {
        var assembler = WatchAssembler(
            startRevision: request.startRevision, maximumBytes: configuration.maximumMessageBytes)
        weak var watch: Exchange?
        let exchange = Exchange(
            path: WatchRequest.path, message: message, isWatch: true, deadline: deadline,
            onMessage: { message in
                do throws(EtcdError) {
                    let response = try WatchResponse.decoding(message)
                    if let error = dispatcher.error(ofAnswerFrom: response.header) { return error }
                    if response.isCreated, !response.isCancelled, let watch, let course = watch.course {
                        dispatcher.noteBegun(watch)
                        onUpdate(.began(revision: response.header.revision, course.connection.id))
                    }
                    for revision in try assembler.receive(response) {
                        onUpdate(.changed(revision: revision.number, revision.events))
                    }
                    return response.isCancelled ? EtcdError(ofCancelled: response) : nil
                } catch {
                    return error
                }
            },
            onEnd: { error in
                onUpdate(
                    .ended(error ?? EtcdError(.unavailable, "the member ended the watch", mayHaveBeenApplied: false)))
            })
        watch = exchange
        return exchange
    }
}

extension EtcdError {
    /// Why a member cancelled a watch: it says so in words alone.
    fileprivate init(ofCancelled response: WatchResponse) {
        guard response.compactRevision == 0 else {
            self.init(
                .outOfRange, "etcdserver: mvcc: required revision has been compacted", mayHaveBeenApplied: false,
                compactRevision: response.compactRevision)
            return
        }
        let reason = response.cancelReason
        let code: EtcdError.Code =
            if reason.contains("permission denied") {
                .permissionDenied
            } else if reason.contains("invalid auth token") || reason.contains("user name is empty") {
                .unauthenticated
            } else if reason.contains("no leader") {
                .unavailable
            } else {
                .unknown
            }
        self.init(
            code, reason.isEmpty ? "the member cancelled the watch" : String(reason.prefix(4_096)),
            mayHaveBeenApplied: false)
    }
}
