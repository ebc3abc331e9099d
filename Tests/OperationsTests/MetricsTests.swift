import Foundation
import Measures
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("Metrics", .serialized)
struct MetricsTests {
    @Test("a histogram counts as a slow, obvious twin does")
    func histogram() {
        for seed in seeds {
            var generator = SeededGenerator(seed: seed)
            let histogram = Histogram(firstBound: 1000, bounds: 24)
            let bounds = (0..<24).map { UInt64(1000) << UInt64($0) }
            var counts = [UInt64](repeating: 0, count: 25)
            var sum: UInt64 = 0
            var values: [UInt64] = [0, 1, 999, 1000, 1001, 2000, 2001, bounds[23], bounds[23] + 1, 1 << 50]
            for _ in 0..<2000 { values.append(generator.next() >> UInt64.random(in: 20...63, using: &generator)) }
            for value in values {
                histogram.observe(value)
                counts[bounds.firstIndex { value <= $0 } ?? 24] += 1
                sum &+= value
            }
            #expect(histogram.snapshot.bounds == bounds)
            #expect(histogram.snapshot.counts == counts, "seed \(seed)")
            #expect(histogram.snapshot.sum == sum)
        }
    }

    @Test("the counts are those of the calls that were made, under the names that dashboards know")
    func countsCalls() throws {
        let busy = try BusyServer()
        let stream = try LineStream(port: busy.server.port)
        #expect(stream.call(.allocateNodeCIDRs, ["node": ["metadata": ["name": "n2"]]])?["result"] != nil)
        #expect(stream.call(.release, ["node": ["metadata": ["name": "n2"]]])?["result"] != nil)
        let metrics = MetricsReader(port: busy.server.port)
        func expect(
            _ value: Double, _ name: String, _ labels: [String: String] = [:],
            at line: SourceLocation = #_sourceLocation
        ) {
            #expect(metrics.value(name, labels) == value, "\(name) \(labels)", sourceLocation: line)
        }
        let (ipv4, ipv6) = ("10.96.0.0/20", "fd00:10:96::/112")
        expect(33, "tandem_calls_total", ["method": "AllocateServiceIPs", "status": "OK"])
        expect(1, "tandem_calls_total", ["method": "AllocateServiceIPs", "status": "INVALID_ARGUMENT"])
        expect(1, "tandem_calls_total", ["method": "GetPod", "status": "NOT_FOUND"])
        expect(33, "kube_apiserver_clusterip_allocator_allocated_ips", ["cidr": ipv4])
        expect(4094 - 33, "kube_apiserver_clusterip_allocator_available_ips", ["cidr": ipv4])
        expect(32, "kube_apiserver_clusterip_allocator_allocated_ips", ["cidr": ipv6])
        expect(32, "kube_apiserver_clusterip_allocator_allocation_total", ["cidr": ipv4, "scope": "dynamic"])
        expect(1, "kube_apiserver_clusterip_allocator_allocation_total", ["cidr": ipv4, "scope": "static"])
        expect(1, "kube_apiserver_clusterip_allocator_allocation_errors_total", ["cidr": ipv4, "scope": "static"])
        expect(0, "kube_apiserver_clusterip_allocator_allocation_errors_total", ["cidr": ipv6, "scope": "static"])
        expect(1.0 / 256, "node_ipam_controller_cidrset_usage_cidrs", ["clusterCIDR": "10.244.0.0/16"])
        expect(256, "node_ipam_controller_cirdset_max_cidrs", ["clusterCIDR": "10.244.0.0/16"])
        expect(2, "node_ipam_controller_cidrset_cidrs_allocations_total", ["clusterCIDR": "10.244.0.0/16"])
        expect(1, "node_ipam_controller_cidrset_cidrs_releases_total", ["clusterCIDR": "fd00:10:244::/48"])
        expect(32, "tandem_pool_allocated", ["kind": "Pod", "family": "IPv4"])
        expect(253, "tandem_pool_capacity", ["kind": "Pod", "family": "IPv4"])
        expect(0, "tandem_pod_pools_full", ["family": "IPv4"])
        expect(32, "tandem_namespace_pods", ["namespace": "default"])
        expect(33, "tandem_namespace_services", ["namespace": "default"])
        expect(1, "tandem_namespaces", ["kind": "Pod"])
        expect(1, "tandem_build_info", ["version": BuildInfo.version, "commit": BuildInfo.commit ?? ""])
        expect(1, "tandem_ready")
        expect(67, "tandem_journal_changes_total")
        expect(67, "tandem_journal_commit_size_sum")
        expect(0, "tandem_journal_queue")
        expect(0, "tandem_journal_lag_seconds")
        expect(0, "tandem_storage_failed")
        #expect(metrics.value("process_resident_memory_bytes") ?? 0 > 1e6)
        #expect(abs((metrics.value("process_start_time_seconds") ?? 0) - Date().timeIntervalSince1970) < 600)
    }

    @Test("node ports are counted under the names of kube-apiserver's own allocator, and as a range")
    func countsNodePorts() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path, ServerProcess.ranges + ["--service-node-port-range=30000-30099"])
        let stream = try LineStream(port: server.port)
        for (name, port) in [("a", nil), ("b", nil), ("c", 30_001), ("d", 30_001), ("e", 1)] as [(String, Int?)] {
            var entry: JSONValue = ["port": 80]
            if let port { entry["nodePort"] = .number("\(port)") }
            let spec: JSONValue = ["type": "NodePort", "ports": .array([entry])]
            _ = stream.call(.allocateServiceIPs, ["service": ["metadata": ["name": .string(name)], "spec": spec]])
        }
        let metrics = MetricsReader(port: server.port)
        let prefix = "kube_apiserver_nodeport_allocator_"
        #expect(metrics.value(prefix + "allocated_ports") == 3)
        #expect(metrics.value(prefix + "available_ports") == 97)
        #expect(metrics.value(prefix + "allocation_total", ["scope": "dynamic"]) == 2)
        #expect(metrics.value(prefix + "allocation_total", ["scope": "static"]) == 1)
        #expect(metrics.value(prefix + "allocation_errors_total", ["scope": "dynamic"]) == 0)
        #expect(metrics.value(prefix + "allocation_errors_total", ["scope": "static"]) == 2)
        #expect(metrics.value("tandem_pool_allocated", ["kind": "NodePort", "ports": "30000-30099"]) == 3)
        #expect(metrics.value("tandem_pool_capacity", ["kind": "NodePort", "ports": "30000-30099"]) == 100)
        #expect(metrics.value("tandem_held_outside_ranges", ["kind": "nodeport"]) == 0)
    }

    @Test("several ranges of one family are counted each for itself")
    func countsRangesApart() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(
            directory.path,
            ["--service-cluster-ip-range=10.96.0.0/20", "--cluster-cidr=10.244.0.0/24,10.245.0.0/24"])
        let stream = try LineStream(port: server.port)
        for node in ["n1", "n2"] {
            let pod: JSONValue = ["pod": ["metadata": ["name": .string(node)], "spec": ["nodeName": .string(node)]]]
            #expect(stream.call(.allocatePodIPs, pod)?["result"] != nil)
        }
        let metrics = MetricsReader(port: server.port)
        for range in ["10.244.0.0/24", "10.245.0.0/24"] {
            let cluster = ["clusterCIDR": range]
            #expect(metrics.value("node_ipam_controller_cidrset_cidrs_allocations_total", cluster) == 1)
            #expect(metrics.value("node_ipam_controller_cidrset_usage_cidrs", cluster) == 1)
            #expect(metrics.value("tandem_pool_allocated", ["kind": "Pod", "cidr": range]) == 1)
            #expect(metrics.value("tandem_pool_capacity", ["kind": "Pod", "cidr": range]) == 253)
        }
        #expect(server.stop() == 0)
    }

    @Test("stages are timed for one change in eight, and every histogram adds up")
    func timesStages() throws {
        let busy = try BusyServer()
        let metrics = MetricsReader(port: busy.server.port)
        // Calls one after another: versions 0, 8 … 64 were the newest when a call came, 8 … 64 when it was decided. The first
        // pod brings its node, with a version of its own.
        for stage in ["decide", "claim", "commit"] {
            let count = metrics.value("tandem_stage_duration_seconds_count", ["stage": stage]) ?? 0
            #expect((7...9).contains(count), "\(stage): \(count)")
        }
        #expect((8...16).contains(metrics.value("tandem_stage_duration_seconds_count", ["stage": "decode"]) ?? 0))
        let histograms = metrics.names.filter { $0.hasSuffix("_bucket") }.map { String($0.dropLast(7)) }
        #expect(histograms.count == 5)
        for name in histograms {
            let buckets = metrics.samples.filter { $0.name == name + "_bucket" }
            for (labels, series) in Dictionary(grouping: buckets, by: { $0.labels.filter { $0.key != "le" } }) {
                let counts = series.map(\.value)
                #expect(counts == counts.sorted(), "\(name) \(labels)")
                #expect(series.last?.labels["le"] == "+Inf")
                #expect(counts.last == metrics.value(name + "_count", labels), "\(name) \(labels)")
            }
        }
        #expect(metrics.value("tandem_call_duration_seconds_sum", ["method": "AllocatePodIPs"]) ?? 0 > 1e-6)
    }

    @Test("handshakes that come to nothing are counted by their cause, and connections by their fate")
    func countsHandshakes() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let place = "127.0.0.1:\(server.port)"
        _ = Command.run("openssl", ["s_client", "-connect", place, "-tls1_2"])
        _ = Command.run(
            "python3", ["-c", "import socket; socket.create_connection(('127.0.0.1', \(server.port))).close()"])
        _ = Command.run("curl", ["-sS", "https://\(place)/livez"])  // does not know the CA
        let (stranger, key) = ("\(directory.path)/stranger.crt", "\(directory.path)/stranger.key")
        let made = Command.run(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                "-out",
                stranger, "-subj", "/CN=stranger",
            ])
        #expect(made.status == 0, "\(made.errors)")
        _ = Command.run("openssl", ["s_client", "-connect", place, "-cert", stranger, "-key", key], input: "")
        // The server may learn of an end after it answered another: look again.
        var metrics = MetricsReader(port: server.port)
        func failures(_ cause: String) -> Double? {
            metrics.value("tandem_tls_handshake_failures_total", ["cause": cause])
        }
        for _ in 0..<400 where failures("closed") == 0 || failures("certificate") == 0 {
            metrics = MetricsReader(port: server.port)
        }
        #expect(failures("no_agreement") == 1)
        #expect(failures("closed") == 1)
        #expect(failures("refused_by_peer") == 1)
        #expect(failures("certificate") == 1)
        #expect(metrics.value("tandem_connections") == 1)
        #expect(
            metrics.value("tandem_connections_total", ["result": "accepted"])
                == (metrics.value("tandem_tls_handshakes_total", ["kind": "full"]) ?? 0) + 4)
    }

    @Test(
        "promtool finds nothing to blame but the names that are Kubernetes' own",
        .enabled(if: Project.tool("promtool") != nil))
    func pleasesPromtool() throws {
        let busy = try BusyServer()
        let text = MetricsReader(port: busy.server.port).text
        let result = Command.run(try #require(Project.tool("promtool")), ["check", "metrics"], input: text)
        let blamed = (result.output + result.errors).split(separator: "\n").filter {
            !($0.hasPrefix("node_ipam_controller_ci")
                && $0.hasSuffix("label names should be written in 'snake_case' not 'camelCase'"))
        }
        #expect(blamed.isEmpty, "\(blamed.joined(separator: "\n"))")
        #expect([0, 3].contains(result.status))
        let wrong = Command.run(
            try #require(Project.tool("promtool")), ["check", "metrics"], input: text + "tandem_x{ 1\n")
        #expect(![0, 3].contains(wrong.status))
    }
}
