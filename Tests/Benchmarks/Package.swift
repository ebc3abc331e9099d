// swift-tools-version: 6.1
import PackageDescription

/// The micro-benchmarks: a package of its own, so that what they need is not fetched and built with the server.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func tandem(_ name: String) -> Target.Dependency { .product(name: name, package: "tandem") }

let package = Package(
    name: "tandem-benchmarks",
    dependencies: [
        .package(name: "tandem", path: "../.."),
        // Without its traits: they need packages that interpose malloc and the runtime, which nothing here reads.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "ratios",
            dependencies: ["Workloads", "TestSupport", "Allocation", "Ledger", "TandemAPI"].map(tandem),
            path: "Ratios", swiftSettings: settings),
        .executableTarget(
            name: "MicroBenchmarks",
            dependencies: [.product(name: "Benchmark", package: "benchmark")]
                + ["Workloads", "TestSupport", "Allocation", "IPAM", "Ledger"].map(tandem),
            path: "MicroBenchmarks", swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ]
)
