// etcd's own single puts, each with an answer of its own: the yardstick for calls that several servers commit through one log.
//
//     etcd-puts SERVERS SECONDS CLIENTS BYTES    prints puts a second, and the median and the 99th percentile in milliseconds
import Dispatch
import EtcdClient
import NIOCore
import Synchronization

guard CommandLine.arguments.count == 5, let seconds = Double(CommandLine.arguments[2]),
    let clients = Int(CommandLine.arguments[3]), let bytes = Int(CommandLine.arguments[4])
else { fatalError("usage: etcd-puts SERVERS SECONDS CLIENTS BYTES") }
let client = EtcdClient(try EtcdConfiguration(servers: CommandLine.arguments[1]))
let value = ByteBuffer(repeating: UInt8(ascii: "x"), count: bytes)
let end = NIODeadline.now() + .milliseconds(Int64(seconds * 1000))
let times = Mutex<[Int64]>([])
let group = DispatchGroup()

/// One client: the next put when the one before is answered.
@Sendable func put(_ client: EtcdClient, _ value: ByteBuffer, _ key: Int, _ end: NIODeadline, _ group: DispatchGroup) {
    let start = NIODeadline.now()
    guard start < end else { return group.leave() }
    client.call(PutRequest(ByteBuffer(string: "/puts/\(key)"), value), deadline: start + .seconds(10)) { result in
        if case .failure(let error) = result { fatalError("\(error)") }
        let nanoseconds = (NIODeadline.now() - start).nanoseconds
        times.withLock { $0.append(nanoseconds) }
        put(client, value, key &+ 1_000, end, group)
    }
}

for number in 0..<clients {
    group.enter()
    put(client, value, number, end, group)
}
group.wait()
let sorted = times.withLock { $0.sorted() }
func milliseconds(_ share: Double) -> Double { Double(sorted[Int(Double(sorted.count - 1) * share)]) / 1e6 }
print(Int(Double(sorted.count) / seconds), milliseconds(0.5), milliseconds(0.99))
