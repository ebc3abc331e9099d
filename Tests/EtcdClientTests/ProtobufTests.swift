import EtcdClient
import NIOCore
import TestSupport
import Testing

@Suite("Messages of etcd's API")
struct ProtobufTests {
    private func bytes(_ body: (inout ProtobufWriter) -> Void) -> [UInt8] {
        var writer = ProtobufWriter()
        body(&writer)
        return Array(writer.bytes.readableBytesView)
    }

    private func decoded<Message: ProtobufMessage>(_ type: Message.Type, _ bytes: [UInt8]) throws -> Message {
        try Message(from: ProtobufReader(ByteBuffer(bytes: bytes)))
    }

    // Worked out by hand from the fields' numbers.

    @Test("a range is written field by field, without zeros")
    func range() {
        #expect(bytes(RangeRequest(.of("a")).encode) == [0x0a, 1, 0x61])
        let request = RangeRequest(
            .of("a"), to: .of("b"), limit: 300, revision: -1, isSerializable: true, isKeysOnly: true, isCountOnly: true)
        #expect(
            bytes(request.encode) == [
                0x0a, 1, 0x61, 0x12, 1, 0x62, 0x18, 0xac, 0x02, 0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                0xff, 1,
                0x38, 1, 0x40, 1, 0x48, 1,
            ])
    }

    @Test("a transaction's comparisons are written though they are with 0, and its operations lie in one another")
    func txn() {
        let request = TxnRequest(
            compare: [
                Compare(.of("k"), .createRevision(0)), Compare(.of("k"), is: .greater, .version(2)),
                Compare(.of("k"), is: .less, .modRevision(3)),
                Compare(.of("k"), to: .of("l"), is: .notEqual, .value(.of(""))),
            ],
            success: [
                .put(PutRequest(.of("k"), .of("v"), lease: 7)), .delete(DeleteRangeRequest(.of("d"), to: .of("e"))),
            ],
            failure: [.range(RangeRequest(.of("k"))), .txn(TxnRequest(success: []))])
        #expect(
            bytes(request.encode) == [
                0x0a, 7, 0x10, 1, 0x1a, 1, 0x6b, 0x28, 0,  //
                0x0a, 7, 0x08, 1, 0x1a, 1, 0x6b, 0x20, 2,  //
                0x0a, 9, 0x08, 2, 0x10, 2, 0x1a, 1, 0x6b, 0x30, 3,  //
                0x0a, 13, 0x08, 3, 0x10, 3, 0x1a, 1, 0x6b, 0x3a, 0, 0x82, 0x04, 1, 0x6c,  //
                0x12, 10, 0x12, 8, 0x0a, 1, 0x6b, 0x12, 1, 0x76, 0x18, 7,  //
                0x12, 8, 0x1a, 6, 0x0a, 1, 0x64, 0x12, 1, 0x65,  //
                0x1a, 5, 0x0a, 3, 0x0a, 1, 0x6b,  //
                0x1a, 2, 0x22, 0,
            ])
    }

    @Test("leases, compaction and status are written")
    func others() {
        #expect(bytes(LeaseGrantRequest(timeToLive: 10, id: 5).encode) == [0x08, 10, 0x10, 5])
        #expect(bytes(LeaseKeepAliveRequest(id: 5).encode) == [0x08, 5])
        #expect(bytes(LeaseRevokeRequest(id: 5).encode) == [0x08, 5])
        #expect(bytes(CompactionRequest(revision: 128).encode) == [0x08, 0x80, 0x01])
        #expect(bytes(StatusRequest().encode).isEmpty)
    }

    @Test("a range's answer is read, whatever the order of its fields and whatever else it has")
    func rangeResponse() throws {
        let response = try decoded(
            RangeResponse.self,
            [
                0x20, 9,  // count
                0x7a, 2, 1, 1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7d, 1, 2, 3, 4, 0x78, 1,  // field 15 in all forms
                0x12, 14, 0x0a, 1, 0x6b, 0x10, 2, 0x18, 3, 0x20, 4, 0x2a, 1, 0x76, 0x30, 6,  // a key
                0x12, 0, 0x18, 1, 0x0a, 8, 0x08, 1, 0x10, 2, 0x18, 3, 0x20, 4,
            ])
        #expect(response.count == 9)
        #expect(response.hasMore)
        #expect(response.keyValues.count == 2)
        let first = try #require(response.keyValues.first)
        #expect(first.key == .of("k"))
        #expect((first.createRevision, first.modRevision, first.version, first.lease) == (2, 3, 4, 6))
        #expect(first.value == .of("v"))
        #expect(response.header.clusterID == 1)
        #expect(response.header.memberID == 2)
        #expect(response.header.revision == 3)
        #expect(response.header.raftTerm == 4)
    }

    @Test("a transaction's answer is read with each kind of operation, one in another")
    func txnResponse() throws {
        let response = try decoded(
            TxnResponse.self,
            [
                0x10, 1,  // succeeded
                0x1a, 4, 0x0a, 2, 0x20, 1,  // range: count 1
                0x1a, 2, 0x12, 0,  // put
                0x1a, 4, 0x1a, 2, 0x10, 2,  // delete: 2
                0x1a, 8, 0x22, 6, 0x1a, 4, 0x22, 2, 0x10, 1,  // txn of a txn that succeeded
            ])
        #expect(response.isSucceeded)
        guard response.responses.count == 4, case .range(let range) = response.responses[0],
            case .put = response.responses[1], case .delete(let delete) = response.responses[2],
            case .txn(let outer) = response.responses[3], case .txn(let inner)? = outer.responses.first
        else {
            Issue.record("the operations are others: \(response)")
            return
        }
        #expect(range.count == 1)
        #expect(delete.deleted == 2)
        #expect(inner.isSucceeded)
    }

    @Test("answers about leases and the member are read")
    func otherResponses() throws {
        let lease = try decoded(LeaseGrantResponse.self, [0x10, 5, 0x18, 10])
        #expect((lease.id, lease.timeToLive) == (5, 10))
        #expect(try decoded(LeaseKeepAliveResponse.self, [0x10, 5]).timeToLive == 0)
        let status = try decoded(
            StatusResponse.self, [0x12, 3, 0x33, 0x2e, 0x34, 0x18, 9, 0x20, 8, 0x42, 1, 0x65, 0x42, 0, 0x48, 7])
        #expect(status.version == "3.4")
        #expect((status.databaseBytes, status.leader, status.databaseBytesInUse) == (9, 8, 7))
        #expect(status.errors == ["e", ""])
    }

    @Test(
        "bytes that are no message are refused",
        arguments: [
            [0x20], [0x0a], [0x0a, 2, 1], [0x00, 1], [0x0b], [0x0c], [0x0e], [0x0f], [0x09, 1], [0x0d, 1, 2, 3],
            [0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            [0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
            [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            // Field 4 of a range is a number, field 1 is none.
            [0x22, 0], [0x08, 1], [0x21, 0, 0, 0, 0, 0, 0, 0, 0],
        ] as [[UInt8]])
    func refused(_ bytes: [UInt8]) {
        #expect(throws: ProtobufError.self) { try decoded(RangeResponse.self, bytes) }
    }

    @Test("an operation without a kind, and transactions in one another without end, are refused")
    func refusedTxn() throws {
        #expect(throws: ProtobufError.self) { try decoded(TxnResponse.self, [0x1a, 0]) }
        /// A transaction in so many others, each of which takes two messages.
        func nested(_ count: Int) -> [UInt8] {
            (0..<count).reduce([0x10, 1]) { inner, _ in
                let operation = bytes { $0.writtenBytes(4, ByteBuffer(bytes: inner)) }
                return bytes { $0.writtenBytes(3, ByteBuffer(bytes: operation)) }
            }
        }
        _ = try decoded(TxnResponse.self, nested(7))
        #expect(throws: ProtobufError.self) { try decoded(TxnResponse.self, nested(8)) }
        #expect(throws: ProtobufError.self) { try decoded(TxnResponse.self, nested(300)) }
    }

    @Test("a list has an end")
    func longList() throws {
        let most = 1 << 16
        var list = ByteBuffer()
        for _ in 0..<most { list.writeInteger(0x1200, as: UInt16.self) }
        #expect(try RangeResponse(from: ProtobufReader(list)).keyValues.count == most)
        list.writeInteger(0x1200, as: UInt16.self)
        #expect(throws: ProtobufError.self) { try RangeResponse(from: ProtobufReader(list)) }
    }

    @Test("whatever bytes come, each message is read or refused", arguments: seeds)
    func fuzz(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let samples: [[UInt8]] = [
            [0x20, 9, 0x12, 14, 0x0a, 1, 0x6b, 0x10, 2, 0x18, 3, 0x20, 4, 0x2a, 1, 0x76, 0x30, 6, 0x0a, 2, 0x08, 1],
            [0x10, 1, 0x1a, 4, 0x0a, 2, 0x20, 1, 0x1a, 2, 0x12, 0, 0x1a, 8, 0x22, 6, 0x1a, 4, 0x22, 2, 0x10, 1],
            [0x12, 3, 0x33, 0x2e, 0x34, 0x18, 9, 0x20, 8, 0x42, 1, 0x65, 0x42, 0, 0x48, 7],
        ]
        var isRead = 0
        for round in 0..<3_000 {
            var bytes = samples[round % samples.count]
            bytes.mutate(using: &generator)
            isRead += (try? decoded(RangeResponse.self, bytes)) == nil ? 0 : 1
            isRead += (try? decoded(TxnResponse.self, bytes)) == nil ? 0 : 1
            _ = try? decoded(StatusResponse.self, bytes)
            _ = try? decoded(LeaseGrantResponse.self, bytes)
            _ = try? decoded(WatchEvent.self, bytes)
        }
        #expect(isRead > 30)
    }
}

extension ByteBuffer {
    static func of(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }
}

extension [UInt8] {
    /// Changes, leaves out or puts in one to four bytes.
    mutating func mutate(using generator: inout SeededGenerator) {
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !isEmpty {
            let index = Int.random(in: 0..<count, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: self[index] = UInt8.random(in: .min ... .max, using: &generator)
            case 1: remove(at: index)
            default: insert(UInt8.random(in: .min ... .max, using: &generator), at: index)
            }
        }
    }
}
