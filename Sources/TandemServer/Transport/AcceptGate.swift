import NIOCore
import Synchronization

/// On the listening channel: counts connections from the moment at which they have a descriptor until they have none, and accepts no
/// further one while there are as many as the process has descriptors for. The reserve for everything else stays, however
/// fast connections come and however long they take to go.
///
/// It holds for an instant alone: where all places are taken a connection is judged, and one closed, as soon as its event loop comes to it.
final class AcceptGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    private let maximum: Int
    private let descriptors = Descriptors()

    /// Signals from connections on other event loops.
    private final class Descriptors: Sendable {
        // Sequentially consistent: a thread that sees no room and holds back, and one that makes room and wakes, see one another.
        let count = Atomic<Int>(0)
        let isHeld = Atomic<Bool>(false)
    }

    /// `maximum` counts the connections with a descriptor; one read accepts no more than `OpenFiles.acceptedAtOnce`.
    init(maximum: Int) {
        self.maximum = maximum
    }

    private var hasRoom: Bool {
        descriptors.count.load(ordering: .sequentiallyConsistent) + OpenFiles.acceptedAtOnce <= maximum
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        descriptors.count.wrappingAdd(1, ordering: .sequentiallyConsistent)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let (descriptors, eventLoop) = (descriptors, context.eventLoop)
        Self.unwrapInboundIn(data).closeFuture.whenComplete { _ in
            descriptors.count.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            guard descriptors.isHeld.exchange(false, ordering: .sequentiallyConsistent) else { return }
            eventLoop.execute { bound.value.pipeline.syncOperations.read() }
        }
        context.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        if hasRoom { return context.read() }
        descriptors.isHeld.store(true, ordering: .sequentiallyConsistent)
        guard hasRoom, descriptors.isHeld.exchange(false, ordering: .sequentiallyConsistent) else { return }
        context.read()
    }
}
