import Addressing
import Dispatch
import Foundation
import IPAM
import Ledger
import Synchronization
import TandemAPI

// Fills a data directory with pods through the engine itself, then ends as `kill -9` ends a server: the last changes
// lie in the journal, all before them in the tables.
//
//   recovery-fill DIRECTORY PODS JOURNALLED [annotated]
//
// annotated: with the two annotations of `tandem-cni`.

let arguments = CommandLine.arguments
let isAnnotated = arguments.last == "annotated"
guard arguments.count == (isAnnotated ? 5 : 4), let total = Int(arguments[2]), let journalled = Int(arguments[3]),
    journalled <= total
else {
    fatalError("usage: recovery-fill DIRECTORY PODS JOURNALLED [annotated]")
}
let directory = arguments[1]
/// As many as kubelet lets a node run.
let podsPerNode = 110
let nodes = (total + podsPerNode - 1) / podsPerNode
let cluster = ClusterConfiguration(
    serviceRanges: [CIDR("172.16.0.0/16")!, CIDR("fd00:10:96::/112")!],
    clusterCIDRs: [CIDR("10.0.0.0/8")!, CIDR("fd00:aa::/40")!])

/// SplitMix64: the same pods in every run.
struct Random {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 31
    }

    mutating func hexadecimal(_ digits: Int) -> String {
        var text = ""
        while text.utf8.count < digits {
            let word = String(next(), radix: 16)
            text += String(repeating: "0", count: 16 - word.utf8.count) + word
        }
        return String(text.prefix(digits))
    }
}

/// The call of a container run-time's CNI plugin.
func request(_ index: Int) -> PodRequest {
    var random = Random(UInt64(index))
    let uid = [
        random.hexadecimal(8), random.hexadecimal(4), "4" + random.hexadecimal(3), "a" + random.hexadecimal(3),
        random.hexadecimal(12),
    ].joined(separator: "-")
    var metadata = ObjectMeta(
        namespace: "team-\(index % 97)", name: "web-\(random.hexadecimal(10))-\(random.hexadecimal(5))",
        uid: Written(uid))
    let attachment = Attachment(containerID: random.hexadecimal(64))
    if isAnnotated {
        let annotations: JSONValue = [
            "tandem-cni/attachment": .string("\(attachment.containerID)/\(attachment.ifName)"),
            "tandem-cni/network": "pods",
        ]
        metadata.others["annotations"] = annotations.text
    }
    return PodRequest(pod: Pod(metadata: metadata, nodeName: "node-\(index % nodes)"), attachment: attachment)
}

func allocate(_ range: Range<Int>, _ engine: Engine) {
    let room = DispatchSemaphore(value: 4096)
    let failed = Mutex<APIError?>(nil)
    for index in range {
        room.wait()
        engine.perform(Call(.allocatePodIPs, .allocatePodIPs(request(index)))) { result in
            if case .failure(let error) = result { failed.withLock { $0 = error } }
            room.signal()
        }
    }
    for _ in 0..<4096 { room.wait() }
    if let error = failed.withLock({ $0 }) { fatalError("\(error)") }
    for _ in 0..<4096 { room.signal() }
}

/// CPU seconds of this process.
func cpuSeconds() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }

let folded = total - journalled
if folded > 0 {
    let engine = try Engine(cluster: cluster, log: SQLiteLog(directory: directory))
    allocate(0..<folded, engine)
    let before = cpuSeconds()
    engine.stop()
    print("the last checkpoint took \(cpuSeconds() - before) s of CPU; \(before) s for all before")
}
let engine = try Engine(cluster: cluster, log: SQLiteLog(directory: directory))
allocate(folded..<total, engine)
print("\(nodes) nodes, \(total) pods, \(journalled) of them in the journal")
fflush(nil)
kill(getpid(), SIGKILL)
