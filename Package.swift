// swift-tools-version: 6.1
import PackageDescription

/// One set of settings for every target: the Swift 6 language mode with the upcoming features that make arrows
/// between modules visible (`import` is internal unless it says otherwise) and existentials spelled out.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTP2: Target.Dependency = .product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK: Target.Dependency = .product(name: "NIOHPACK", package: "swift-nio-http2")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let sqlite: Target.Dependency = .product(name: "GRDBSQLite", package: "GRDB.swift")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")

/// What `--version` says beside the version; `make` gives it. Not asked of git here: a manifest is read once and kept.
let commit = Context.environment["TANDEM_COMMIT"] ?? ""

let package = Package(
    name: "tandem",
    products: [
        // For programs of others: the client, and the modules that its interface speaks of.
        .library(name: "TandemClient", targets: ["TandemClient", "TandemAPI", "OpenSSLTLS", "Addressing"]),
        // For Tests/Benchmarks and Tests/Fuzz, packages of their own.
        .library(
            name: "Workloads", targets: ["Workloads", "TestSupport", "Allocation", "TandemAPI", "Ledger", "IPAM"]),
        .library(name: "FuzzTargets", targets: ["FuzzTargets"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        // For `make docs` alone: no target uses it.
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),

        library("Addressing"),
        library("Measures"),
        library("Allocation", ["Addressing"]),
        .target(name: "CBuildInfo", cSettings: [.define("TANDEM_COMMIT", to: "\"\(commit)\"")]),
        library("TandemAPI", ["Addressing", "CBuildInfo"]),
        library("LineLogs", ["TandemAPI", "Measures", logging, lifecycle, signals]),
        library("DualStack", ["Addressing", "TandemAPI"]),
        .target(name: "CDurableWrite"),
        library("Ledger", ["Addressing", "Measures", "CDurableWrite", grdb, sqlite]),
        library("IPAM", ["Addressing", "Allocation", "DualStack", "TandemAPI", "Measures", "Ledger", "COpenSSL"]),

        library("OpenSSLTLS", ["COpenSSL", nio]),
        library("LineFraming", [nio]),
        library("EtcdLog", ["Ledger", "Measures", "TandemAPI", "EtcdClient", nio, nioPosix]),
        library("EtcdClient", ["OpenSSLTLS", nio, nioPosix, nioHTTP2, nioHPACK]),
        library(
            "TandemServer",
            [
                "Addressing", "TandemAPI", "Measures", "Ledger", "EtcdLog", "EtcdClient", "IPAM", "OpenSSLTLS",
                "LineFraming", "LineLogs",
                nio, nioPosix, nioHTTP1, logging, lifecycle, signals,
            ]),
        library("TandemClient", ["Addressing", "TandemAPI", "OpenSSLTLS", "LineFraming", nio, nioPosix, nioHTTP1]),
        library("YAMLDocuments", ["TandemAPI", yams]),
        library("Reconciliation", ["Addressing", "TandemAPI"]),
        library(
            "ClusterController",
            [
                "Reconciliation", "KubeAPI", "TandemClient", "TandemAPI", "Measures", nio, nioPosix, nioHTTP1, logging,
            ]),
        library(
            "KubeAPI", ["TandemAPI", "Measures", "OpenSSLTLS", "LineFraming", "YAMLDocuments", nio, nioPosix, nioHTTP1]),
        library("CNI", ["Addressing", "TandemAPI", "OpenSSLTLS"]),
        executable("tandem-cni", ["CNI"]),
        library("ClientOptions", ["TandemAPI", "TandemClient", "OpenSSLTLS", "YAMLDocuments", nio, arguments]),
        .target(
            name: "Dashboard", dependencies: ["TandemAPI", "TandemClient", nio, nioPosix, nioHTTP1],
            resources: [.embedInCode("Page")], swiftSettings: settings),
        executable(
            "tandemctl",
            [
                "ClientOptions", "Dashboard", "Ledger", "TandemClient", "TandemAPI", "Addressing", "OpenSSLTLS",
                "YAMLDocuments",
                nio, signals, arguments,
            ]),
        executable(
            "tandem-load",
            [
                "ClientOptions", "TandemClient", "TandemAPI", "OpenSSLTLS", "LineFraming", "YAMLDocuments", nio,
                nioPosix, nioHTTP1, signals, arguments, histogram,
            ]),
        executable("tandemd", ["TandemServer", "TandemAPI", "IPAM", "LineLogs", "YAMLDocuments", arguments]),
        executable(
            "tandem-controller",
            [
                "ClusterController", "ClientOptions", "KubeAPI", "LineLogs", "OpenSSLTLS", "Reconciliation",
                "TandemAPI",
                "TandemClient", arguments, logging, lifecycle, signals,
            ]),

        .executableTarget(
            name: "etcd-puts", dependencies: ["EtcdClient", nio], path: "Tests/Benchmarks/EtcdPuts",
            swiftSettings: settings),
        .executableTarget(
            name: "recovery-fill", dependencies: ["Addressing", "TandemAPI", "Ledger", "IPAM"],
            path: "Tests/Benchmarks/RecoveryFill", swiftSettings: settings),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        .target(name: "CFaultyVFS", path: "Tests/CFaultyVFS", linkerSettings: [.linkedLibrary("sqlite3")]),
        .target(
            name: "FaultyDisk",
            dependencies: ["CFaultyVFS", "Ledger", "TestSupport", .product(name: "GRDBSQLite", package: "GRDB.swift")],
            path: "Tests/FaultyDisk", swiftSettings: settings),
        .target(
            name: "FaultyLog", dependencies: ["Ledger", "Addressing"], path: "Tests/FaultyLog", swiftSettings: settings),
        .target(
            name: "ServerSupport", dependencies: ["TestSupport", "TandemAPI", "OpenSSLTLS", nio, nioPosix],
            path: "Tests/ServerSupport",
            swiftSettings: settings),
        .target(
            name: "EtcdSupport", dependencies: ["TestSupport"], path: "Tests/EtcdSupport", swiftSettings: settings),
        .target(
            name: "KubeSupport",
            dependencies: [
                "TestSupport", "EtcdSupport", "KubeAPI", "TandemAPI", "OpenSSLTLS", nio, nioPosix, nioHTTP1,
            ],
            path: "Tests/KubeSupport", swiftSettings: settings),
        tests(
            "KubeAPITests",
            ["TestSupport", "KubeSupport", "KubeAPI", "TandemAPI", nio, nioEmbedded, nioHTTP1]),
        .testTarget(
            name: "ClusterTests",
            dependencies: [
                "TestSupport", "ServerSupport", "KubeSupport", "KubeAPI", "TandemAPI", "YAMLDocuments",
                "tandem-controller", "tandemctl", "tandemd",
            ],
            path: "Tests/Cluster",
            exclude: ["build-kubernetes.sh", "cluster-test.sh", "node.py", "node_test.py", "node-test.sh"],
            swiftSettings: settings),
        .target(
            name: "EngineSupport", dependencies: ["IPAM", "TandemAPI"], path: "Tests/EngineSupport",
            swiftSettings: settings),
        .target(name: "Histories", dependencies: ["TandemAPI"], path: "Tests/Histories", swiftSettings: settings),
        .target(
            name: "Simulator",
            dependencies: ["TestSupport", "FaultyLog", "IPAM", "Ledger", "TandemAPI", "Addressing", "Measures"],
            path: "Tests/Simulator", swiftSettings: settings),
        .executableTarget(
            name: "simulate", dependencies: ["Simulator"], path: "Tests/Simulate", swiftSettings: settings),
        tests("SimulatorTests", ["TestSupport", "Simulator"]),
        .target(
            name: "Workloads", dependencies: ["Addressing", "Allocation", "DualStack", "IPAM", "Ledger", "TandemAPI"],
            path: "Tests/Workloads", swiftSettings: settings),
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
        .executableTarget(
            name: "allocation-counts",
            dependencies: [
                "CAllocationCounter", "TestSupport", "Workloads", "Addressing", "Allocation", "IPAM", "Ledger",
                "TandemAPI",
            ],
            path: "Tests/AllocationCounts", exclude: ["thresholds.txt"], swiftSettings: settings),
        tests("AllocationCountTests", ["TestSupport", "ServerSupport", "allocation-counts"]),
        tests(
            "TandemClientTests",
            [
                "TestSupport", "ServerSupport", "tandemd", "TandemClient", "TandemAPI", "Addressing", "OpenSSLTLS", nio,
                nioEmbedded,
            ]),
        tests("TandemLoadTests", ["TestSupport", "ServerSupport", "tandem-load", "tandemd", "TandemAPI"]),
        tests("CNITests", ["TestSupport", "ServerSupport", "CNI", "tandem-cni", "tandemd", "TandemAPI"]),
        tests(
            "NetworkTests",
            ["TestSupport", "ServerSupport", "EtcdSupport", "tandem-cni", "tandemctl", "tandemd", "TandemAPI"]),
        tests(
            "DashboardTests",
            [
                "TestSupport", "ServerSupport", "Dashboard", "TandemClient", "TandemAPI", "OpenSSLTLS", "tandemctl",
                "tandemd", nioHTTP1,
            ]),
        tests("TandemctlTests", ["TestSupport", "ServerSupport", "tandemctl", "tandemd", "TandemAPI"]),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Addressing", "CNI", "EtcdClient", "Ledger", "TandemAPI", "TandemServer", "LineFraming",
                "YAMLDocuments",
                nio, nioHPACK,
            ],
            path: "Tests/FuzzTargets", swiftSettings: settings),
        .testTarget(
            name: "FuzzTests", dependencies: ["TestSupport", "FuzzTargets"], exclude: ["Corpus"],
            swiftSettings: settings),
        tests(
            "HostileTests",
            ["TestSupport", "ServerSupport", "tandemd", "tandemctl", "TandemAPI", nio]),
        .testTarget(
            name: "YAMLDocumentsTests", dependencies: ["TestSupport", "YAMLDocuments", "TandemAPI"],
            exclude: ["Recorded"], swiftSettings: settings),
        tests("AddressingTests", ["TestSupport", "Addressing"]),
        tests(
            "ClusterControllerTests",
            [
                "TestSupport", "ServerSupport", "KubeSupport", "ClusterController", "KubeAPI", "LineLogs", "OpenSSLTLS",
                "Reconciliation", "TandemAPI", "TandemClient", "tandem-controller", "tandemd",
            ]),
        tests("ReconciliationTests", ["TestSupport", "Reconciliation", "TandemAPI"]),
        .target(
            name: "ServiceDecisions", dependencies: ["Addressing", "TandemAPI", "TestSupport"],
            path: "Tests/ServiceDecisions",
            exclude: ["README.md", "decisions.jsonl"], swiftSettings: settings),
        tests("DualStackTests", ["TestSupport", "DualStack", "TandemAPI", "Addressing", "ServiceDecisions"]),
        tests("AllocationTests", ["TestSupport", "Allocation", "Addressing"]),
        tests("TandemAPITests", ["TestSupport", "TandemAPI", "Addressing"]),
        .testTarget(
            name: "LedgerTests",
            dependencies: ["TestSupport", "FaultyDisk", "FaultyLog", "Ledger", "Addressing", "Measures", grdb],
            exclude: ["Fixtures"], swiftSettings: settings),
        tests(
            "IPAMTests",
            [
                "TestSupport", "EngineSupport", "FaultyLog", "Histories", "ServiceDecisions", "Allocation", "IPAM",
                "Ledger", "Measures",
                "TandemAPI",
                "Addressing",
            ]),
        tests("OpenSSLTLSTests", ["TestSupport", "OpenSSLTLS", "COpenSSL", nio, nioEmbedded, nioPosix]),
        tests(
            "EtcdClientTests",
            ["TestSupport", "EtcdSupport", "EtcdClient", "OpenSSLTLS", nio, nioEmbedded, nioPosix, nioHTTP2, nioHPACK]),
        tests(
            "EtcdLogTests",
            [
                "TestSupport", "EngineSupport", "EtcdSupport", "EtcdLog", "EtcdClient", "Ledger", "IPAM", "TandemAPI",
                "Addressing", nio,
            ]),
        .testTarget(
            name: "OperationsTests",
            dependencies: [
                "TestSupport", "ServerSupport", "EtcdSupport", "Histories", "tandemd", "tandemctl", "tandem-cni",
                "tandem-load", "TandemClient", "TandemAPI", "OpenSSLTLS", "Measures", "EtcdClient", nio, yams,
            ],
            exclude: ["Fixtures"], swiftSettings: settings),
        tests(
            "TandemServerTests",
            [
                "TestSupport", "ServerSupport", "EngineSupport", "FaultyLog", "tandemd", "TandemServer", "TandemAPI",
                "Addressing",
                "LineLogs", "Measures",
                "ServiceDecisions", "IPAM", "Ledger", logging, nio, nioEmbedded, nioPosix, nioHTTP1,
            ]),
    ]
)
