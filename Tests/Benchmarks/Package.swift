// swift-tools-version: 6.1
import PackageDescription

/// The micro-benchmarks: a package of its own, so that their dependencies are not fetched and built with the server.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// The engine and its parts, with their workloads.
let workloads: Target.Dependency = .product(name: "Workloads", package: "tandem")

let package = Package(
    name: "tandem-benchmarks",
    dependencies: [
        .package(name: "tandem", path: "../.."),
        // Without its traits: they need packages that interpose malloc and the runtime, which nothing here reads.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "ratios", dependencies: [workloads], path: "Ratios", swiftSettings: settings),
        .executableTarget(
            name: "MicroBenchmarks",
            dependencies: [workloads, .product(name: "Benchmark", package: "benchmark")],
            path: "MicroBenchmarks", swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ]
)
