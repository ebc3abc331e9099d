package import NIOCore
package import NIOHPACK

/// A member's side of one stream: headers, messages, trailers. It knows no channel and no clock.
package struct GRPCStream {
    package enum Output {
        case message(ByteBuffer)
        /// Nothing comes behind it; nil where the member was done well.
        case end(EtcdError?)
    }

    private enum State {
        case awaitingHeaders
        case open
        /// Complete messages in the buffer are still to be delivered.
        case ending(EtcdError?)
        case ended
    }

    private var state = State.awaitingHeaders
    private var messages: GRPCMessageBuffer

    package init(maximumMessageBytes: Int) {
        messages = GRPCMessageBuffer(maximumBytes: maximumMessageBytes)
    }

    package mutating func receive(_ headers: HPACKHeaders, endsStream: Bool) {
        switch state {
        case .awaitingHeaders:
            // A word in between, such as 103.
            if !endsStream, headers.first(name: ":status")?.first == "1" { return }
            if let error = GRPCStatus.error(inHeaders: headers) {
                end(error)
            } else if endsStream {
                end(GRPCStatus.error(inTrailers: headers))
            } else {
                state = .open
            }
        case .open:
            guard endsStream else { return fail("the member sent headers within a stream") }
            end(GRPCStatus.error(inTrailers: headers))
        case .ending, .ended: break
        }
    }

    package mutating func receive(_ bytes: ByteBuffer, endsStream: Bool) {
        switch state {
        case .awaitingHeaders: fail("the member sent data without headers")
        case .open:
            messages.append(bytes)
            if endsStream { fail("the member ended a stream without a status") }
        case .ending, .ended: break
        }
    }

    /// The stream is over otherwise: it was reset, or its connection is gone.
    mutating func abort(_ error: EtcdError) {
        end(error)
    }

    private mutating func fail(_ why: String) {
        end(EtcdError(.internal, why, mayHaveBeenApplied: true))
    }

    private mutating func end(_ error: EtcdError?) {
        switch state {
        case .awaitingHeaders, .open: state = .ending(error)
        case .ending, .ended: break
        }
    }

    /// The next action; nil until more is received, and after the end.
    package mutating func next() -> Output? {
        if case .ended = state { return nil }
        switch messages.next() {
        case .message(let message): return .message(message)
        case .none: break
        case .tooLong(let bytes):
            return finish(
                EtcdError(.resourceExhausted, "a message of \(bytes) bytes is too long", mayHaveBeenApplied: true))
        case .compressed:
            return finish(EtcdError(.internal, "the member sent a compressed message", mayHaveBeenApplied: true))
        }
        guard case .ending(let error) = state else { return nil }
        if error == nil, !messages.isEmpty {
            return finish(EtcdError(.internal, "the member's last message is cut off", mayHaveBeenApplied: true))
        }
        return finish(error)
    }

    private mutating func finish(_ error: EtcdError?) -> Output {
        state = .ended
        messages = GRPCMessageBuffer(maximumBytes: 0)
        return .end(error)
    }
}
