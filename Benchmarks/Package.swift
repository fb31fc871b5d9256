// swift-tools-version: 6.2
// The benchmark: a package of its own, so that the one that it measures does not wait for it.

import PackageDescription

let package = Package(
    name: "apus-bench",
    targets: [
        .executableTarget(
            name: "apus-bench",
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .strictMemorySafety(),
            ])
    ]
)
