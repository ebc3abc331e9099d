// swift-tools-version: 6.1
import PackageDescription

// A package of its own, as everything in it is built for libFuzzer: see `make fuzz`.
let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "tandem", path: "../..")],
    targets: [
        .executableTarget(
            name: "fuzz", dependencies: [.product(name: "FuzzTargets", package: "tandem")],
            swiftSettings: [.swiftLanguageMode(.v6)])
    ]
)
