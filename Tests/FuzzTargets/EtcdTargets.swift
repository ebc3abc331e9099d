import EtcdClient
import NIOCore
import NIOHPACK

extension FuzzTarget {
    /// Bytes are each of etcd's answers or none, and the same again when their fields are written anew.
    static func protobuf(_ input: UnsafeRawBufferPointer) {
        let bytes = ByteBuffer(bytes: input)
        let again = rewritten(bytes)
        precondition(again.flatMap(rewritten) == again, "what was written is read as something else")
        check(RangeResponse.self, bytes, again)
        check(TxnResponse.self, bytes, again)
        check(PutResponse.self, bytes, again)
        check(WatchResponse.self, bytes, again)
        check(StatusResponse.self, bytes, again)
        check(LeaseGrantResponse.self, bytes, again)
        check(LeaseKeepAliveResponse.self, bytes, again)
        check(CompactionResponse.self, bytes, again)
    }

    private static func check<Answer: EtcdResponse & Equatable>(
        _ answer: Answer.Type, _ bytes: ByteBuffer, _ again: ByteBuffer?
    ) {
        guard let read = try? Answer(from: ProtobufReader(bytes)) else { return }
        guard let again else { preconditionFailure("an answer whose fields can't be read") }
        precondition((try? Answer(from: ProtobufReader(again))) == read, "an answer is read as another")
    }

    /// The fields in their shortest form, without those of eight and four bytes, which no answer has.
    private static func rewritten(_ bytes: ByteBuffer) -> ByteBuffer? {
        var reader = ProtobufReader(bytes)
        var writer = ProtobufWriter()
        do throws(ProtobufError) {
            while let field = try reader.next() {
                if let number = try? field.integer {
                    writer.writtenInteger(field.number, number)
                } else if let bytes = try? field.bytes {
                    writer.writtenBytes(field.number, bytes)
                }
            }
        } catch {
            return nil
        }
        return writer.bytes
    }

    /// A stream says the same wherever it is cut, ends once, and its revisions go forward. The first byte says where it is cut.
    static func grpc(_ input: UnsafeRawBufferPointer) {
        guard let first = input.first else { return }
        let bytes = ByteBuffer(bytes: input.dropFirst())
        let whole = said(bytes, cut: .max)
        let cut = said(bytes, cut: Int(first) + 1)
        precondition(
            whole.messages == cut.messages && whole.end == cut.end, "a stream says something else when it is cut")
        var assembler = WatchAssembler(startRevision: 1, maximumBytes: 1 << 20)
        var last: Int64 = 0
        for message in whole.messages {
            guard let response = try? WatchResponse(from: ProtobufReader(message)),
                let revisions = try? assembler.receive(response)
            else { return }
            for revision in revisions {
                precondition(revision.number > last, "a revision comes behind a later one")
                last = revision.number
            }
        }
    }

    private static func said(_ bytes: ByteBuffer, cut: Int) -> (messages: [ByteBuffer], end: String?) {
        var stream = GRPCStream(maximumMessageBytes: 512)
        stream.receive([":status": "200", "content-type": "application/grpc"], endsStream: false)
        var rest = bytes
        var messages: [ByteBuffer] = []
        var end: String?
        func drain() {
            while let output = stream.next() {
                precondition(end == nil, "something comes behind the end")
                switch output {
                case .message(let message): messages.append(message)
                case .end(let error): end = error.map(String.init(describing:)) ?? "well"
                }
            }
        }
        while rest.readableBytes > 0 {
            stream.receive(rest.readSlice(length: min(cut, rest.readableBytes))!, endsStream: false)
            drain()
        }
        stream.receive(["grpc-status": "0"], endsStream: true)
        drain()
        return (messages, end)
    }
}
