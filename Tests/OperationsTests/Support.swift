import Foundation
import ServerSupport
import TandemAPI
import TestSupport

/// The project's files and the programs that a test needs beside it.
enum Project {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardized.path

    static func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)
    }

    static func tool(_ name: String) -> String? { Command.find(name) }
}

/// Prometheus' text format, read.
struct MetricsReader {
    struct Sample {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    let text: String
    let samples: [Sample]

    init(port: Int) {
        self.init(Curl(port: port, role: "viewer").request("/metrics").body)
    }

    init(_ text: String) {
        self.text = text
        samples = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                return nil
            }
            let series = line[..<space]
            let name = series.prefix { $0 != "{" }
            var labels: [String: String] = [:]
            for pair in series.dropFirst(name.count).dropFirst().dropLast().split(separator: ",") {
                let parts = pair.split(separator: "=", maxSplits: 1)
                labels[String(parts[0])] = String(parts[1].dropFirst().dropLast())
            }
            return Sample(name: String(name), labels: labels, value: value)
        }
    }

    /// The value of the only sample with that name and those labels; nil where there is none, or are several.
    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        let found = samples.filter { sample in
            sample.name == name && labels.allSatisfy { sample.labels[$0] == $1 }
        }
        return found.count == 1 ? found[0].value : nil
    }

    var names: Set<String> { Set(samples.map(\.name)) }
}

/// A server with something of everything done to it: every series that it has is there.
struct BusyServer {
    let directory = ScratchDirectory()
    let server: ServerProcess

    init() throws {
        server = try ServerProcess(
            directory.path,
            ServerProcess.ranges + [
                "--load-balancer-ip-range=192.0.2.0/24", "--service-node-port-range=30000-32767",
                "--audit-log-path=\(directory.path)/audit.log",
            ])
        try work()
    }

    /// 64 changes one after another over one stream; some calls that are refused.
    func work() throws {
        let stream = try LineStream(port: server.port)
        for number in 0..<32 {
            let name = "s\(number)-\(UInt32.random(in: 0 ... .max))"
            _ = stream.call(
                .allocateServiceIPs,
                ["service": ["metadata": ["name": .string(name)], "spec": ["ipFamilyPolicy": "PreferDualStack"]]])
            _ = stream.call(
                .allocatePodIPs,
                ["pod": ["metadata": ["name": .string(name)], "spec": ["nodeName": "n1"]]])
        }
        _ = stream.call(.getPod, ["pod": ["metadata": ["name": "nobody"]]])
        _ = stream.call(
            .allocateServiceIPs, ["service": ["metadata": ["name": "fixed"], "spec": ["clusterIP": "10.96.0.10"]]])
        _ = stream.call(
            .allocateServiceIPs, ["service": ["metadata": ["name": "late"], "spec": ["clusterIP": "10.96.0.10"]]])
    }
}
