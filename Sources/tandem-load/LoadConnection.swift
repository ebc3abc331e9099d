import LineFraming
import NIOCore
import NIOHTTP1
import OpenSSLTLS
import TandemAPI
import TandemClient

/// One connection under load: sends the calls of its script, in a closed or an open loop, and measures. On its event loop
/// alone.
final class LoadConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase { case idle, warmingUp, measuring, draining }

    private struct UnderWay {
        var request: LoadRequest
        /// When it was meant to be sent, and when it was.
        var start, sent: NIODeadline
    }

    private(set) var script: Script
    private(set) var measured = Measurements()
    private(set) var failure: String?
    let ready: EventLoopPromise<Void>

    private let plan: LoadPlan
    private let wire: any LoadWire
    private var phase = Phase.idle
    private var context: ChannelHandlerContext?
    private var started = NIODeadline.uptimeNanoseconds(0)
    /// By the id of their last call.
    private var underWay: [Int: UnderWay] = [:]
    private var lastID = 0
    private var drained: EventLoopPromise<Void>?
    private var isPumping = false
    /// An open loop: when the next request is due, and how far apart they are.
    private var due = NIODeadline.uptimeNanoseconds(0)
    private var interval = TimeAmount.nanoseconds(0)

    init(_ plan: LoadPlan, connection: Int, ready: EventLoopPromise<Void>) {
        self.plan = plan
        self.ready = ready
        script = Script(plan, connection: connection)
        wire = plan.transport == .stream ? StreamWire() : HTTPWire(host: plan.server(of: connection).host)
    }

    var calls: Int { measured.calls }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        end("the connection was closed")
        self.context = nil
    }

    // MARK: Phases

    func set(target: Int) { script.target = target }

    func begin(_ phase: Phase) {
        self.phase = phase
        started = .now()
        if phase == .measuring { measured = Measurements() }
        if let rate = plan.rate {
            interval = .nanoseconds(Int64(1e9 * Double(plan.connections) / rate))
            due = started
            tick()
        } else {
            pump()
        }
    }

    /// Sends no more, and is done when all requests in flight are answered.
    func drain() -> EventLoopFuture<Void> {
        phase = .draining
        let promise = ready.futureResult.eventLoop.makePromise(of: Void.self)
        drained = promise
        if underWay.isEmpty || failure != nil { finishDraining() }
        return promise.futureResult
    }

    private func finishDraining() {
        drained?.succeed()
        drained = nil
    }

    private func end(_ why: String) {
        if failure == nil { failure = why }
        ready.fail(LoadFailure(description: why))
        finishDraining()
    }

    // MARK: Sending

    private var isSending: Bool { phase == .warmingUp || phase == .measuring }

    /// A closed loop: as many in flight as the plan allows, in one write.
    private func pump() {
        guard isSending, let context, failure == nil, plan.rate == nil else { return }
        var buffer: ByteBuffer?
        while underWay.count < plan.pipeline {
            let now = NIODeadline.now()
            write(start: now, sent: now, into: &buffer, context)
        }
        if let buffer { context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil) }
    }

    /// An open loop: everything that is due by now, each as of when it was due.
    private func tick() {
        guard isSending, let context, failure == nil else { return }
        var buffer: ByteBuffer?
        let now = NIODeadline.now()
        // The server takes 1,024 calls a connection; further due calls wait here, and their wait counts.
        while due <= now, underWay.count < 1_000 {
            write(start: due, sent: now, into: &buffer, context)
            due = due + interval
        }
        if let buffer { context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil) }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(deadline: max(due, now + .milliseconds(1))) { bound.value.tick() }
    }

    private func write(
        start: NIODeadline, sent: NIODeadline, into buffer: inout ByteBuffer?, _ context: ChannelHandlerContext
    ) {
        let request = script.next()
        lastID += request.calls
        underWay[lastID] = UnderWay(request: request, start: start, sent: sent)
        if buffer == nil { buffer = context.channel.allocator.buffer(capacity: 4_096) }
        guard var bytes = buffer else { return }
        buffer = nil  // leaves one owner, so that the bytes are appended in place
        wire.write(request.message, into: &bytes)
        buffer = bytes
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        wire.receive(Self.unwrapInboundIn(data))
        do {
            while let message = try wire.next() { try message.withUnsafeReadableBytes { try answer($0) } }
        } catch {
            end("an answer can't be read: \(error)")
            context.close(promise: nil)
        }
        pump()
    }

    private func answer(_ message: UnsafeRawBufferPointer) throws {
        if plan.ignoresAnswers { return try answerOldest() }
        let answers = try LoadAnswer.parse(message)
        // A batch is known by the id of its last call.
        guard let id = answers.map(\.id).max(), let finished = underWay.removeValue(forKey: id) else {
            throw LoadFailure(description: "it answers no call: \(String(decoding: message, as: UTF8.self))")
        }
        let (refused, reason) = script.finish(finished.request, answers)
        finish(finished, refused, reason)
    }

    private func answerOldest() throws {
        guard let id = underWay.keys.min(), let finished = underWay.removeValue(forKey: id) else {
            throw LoadFailure(description: "it answers no call")
        }
        finish(finished, 0, nil)
    }

    private func finish(_ finished: UnderWay, _ refused: Int, _ reason: String?) {
        let now = NIODeadline.now()
        if phase == .measuring {
            let second = Int((now - started).nanoseconds / 1_000_000_000)
            measured.record(
                finished.request, latency: now - finished.start, sinceSent: now - finished.sent, at: second,
                refused: refused, reason)
        }
        if phase == .draining, underWay.isEmpty { finishDraining() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is TLSHandshakeCompleted: ready.succeed()
        case ChannelEvent.inputClosed:
            end("the server ended the connection")
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end("\(error)")
        context.close(promise: nil)
    }
}
