import NIOCore
import NIOHTTP1

/// One request on its way. On its event loop alone.
final class Exchange {
    let request: HTTPRequest
    let head: HTTPRequestHead
    /// Until the head of the answer is here.
    let headTimeout: TimeAmount
    /// From then on, for the rest of it.
    let bodyTimeout: TimeAmount
    /// Of a watch, which keeps its connection for long and is not counted among those that share them: how long it may tell nothing.
    let silence: TimeAmount?
    var isWatch: Bool { silence != nil }
    private let promise: EventLoopPromise<HTTPResponse>
    private var deadline: Scheduled<Void>?
    /// Ends it on its connection; nil while it has none.
    var onOver: ((KubeError) -> Void)?
    private(set) var isOver = false
    /// It failed on a connection that had been used before, and goes once more.
    var isSecondTry = false

    init(
        _ request: HTTPRequest, _ head: HTTPRequestHead, headTimeout: TimeAmount, bodyTimeout: TimeAmount,
        silence: TimeAmount?, _ promise: EventLoopPromise<HTTPResponse>
    ) {
        self.request = request
        self.head = head
        self.headTimeout = headTimeout
        self.bodyTimeout = bodyTimeout
        self.silence = silence
        self.promise = promise
    }

    /// Its time runs, whether it has a connection or not.
    func start(on loop: NIOIsolatedEventLoop) {
        deadline = loop.scheduleTask(in: headTimeout) { self.end(.noAnswer(mayHaveBeenApplied: self.wasSent)) }
    }

    private var wasSent: Bool { onOver != nil && !request.isSafe }

    /// Ends it from outside: its time is over, or no caller waits for it.
    func end(_ error: KubeError) {
        guard !isOver else { return }
        fail(error)
        onOver?(error)
    }

    func succeed(_ response: HTTPResponse) {
        guard !isOver else { return }
        isOver = true
        deadline?.cancel()
        promise.succeed(response)
    }

    func fail(_ error: KubeError) {
        guard !isOver else { return }
        isOver = true
        deadline?.cancel()
        promise.fail(error)
    }
}

extension KubeError {
    static func noAnswer(mayHaveBeenApplied: Bool) -> KubeError {
        KubeError(.timedOut, "the API server did not answer in time", mayHaveBeenApplied: mayHaveBeenApplied)
    }
}
