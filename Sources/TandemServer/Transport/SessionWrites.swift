import NIOCore

extension ChannelHandlerContext {
    /// Writes and flushes an answer. Where the client does not take it at once, the session holds it until it does; the bytes that the
    /// channel's watermark lets wait, 64 KiB, is not counted.
    func send(_ answer: ByteBuffer, to session: RPCSession) {
        let bytes = answer.readableBytes
        session.noteIfStranger(bytes: bytes)
        writeAndFlush(NIOAny(answer), promise: nil)
        guard !channel.isWritable else { return session.noteProgress() }
        session.hold(bytes)
        // Behind everything that is still on its way.
        writeAndFlush(NIOAny(ByteBuffer())).whenComplete { _ in
            session.noteProgress()
            session.release(bytes)
        }
    }

    /// Closes behind everything that is still on its way to a slow reader.
    func closeBehindAnswers() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        writeAndFlush(NIOAny(ByteBuffer())).whenComplete { _ in bound.value.close(promise: nil) }
    }
}
