// swift-tools-version: 6.2
// The floors of the house, from the ground up. A target imports only what its line names; `ArchitectureTests`
// fails on any arrow that is not on this list. ARCHITECTURE.md says what each target is for.

import PackageDescription

/// The settings of every Swift target: the language modes that make the compiler prove the most.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ target: String, _ more: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(target)Tests", dependencies: [.init(stringLiteral: target), "TestSupport"] + more,
        swiftSettings: strict)
}

let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus-vmm", targets: ["apus-vmm"]),
        .executable(name: "apus-img", targets: ["apus-img"]),
        .executable(name: "apus", targets: ["apus"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1")
    ],
    targets: [
        // Ground
        .systemLibrary(name: "CLinux", path: "Sources/CLinux"),
        .systemLibrary(name: "CSlirp", path: "Sources/CSlirp"),
        .systemLibrary(name: "CZlib", path: "Sources/CZlib"),
        .systemLibrary(name: "CZstd", path: "Sources/CZstd"),
        .systemLibrary(name: "CBzip2", path: "Sources/CBzip2"),
        .systemLibrary(name: "CLZMA", path: "Sources/CLZMA"),
        .systemLibrary(name: "CCrypto", path: "Sources/CCrypto"),
        .systemLibrary(name: "CTurboJPEG", path: "Sources/CTurboJPEG"),
        .systemLibrary(name: "CSASL", path: "Sources/CSASL"),
        .target(name: "CEngine"),
        library("HostOS", ["CLinux", system]),
        library("JSON"),
        library("Log", ["HostOS"]),
        library("TLS", ["CCrypto", "CLinux", "HostOS", system]),
        library("SASL", ["CSASL", "HostOS"]),

        // Memory
        library("GuestMemory", ["CEngine", "HostOS"]),

        // Processor
        library("X86"),
        library("Execution"),
        library("LocalAPIC", ["CEngine"]),
        library(
            "KVMEngine", ["CEngine", "CLinux", "HostOS", "GuestMemory", "X86", "Execution", "LocalAPIC", system]),
        library(
            "TranslatorEngine", ["CEngine", "HostOS", "GuestMemory", "X86", "Execution", "LocalAPIC", system]),

        // Device
        library("DeviceModel", ["GuestMemory"]),
        library("MachineState", ["DeviceModel"]),
        library("VirtQueue", ["GuestMemory", "CEngine"]),
        library(
            "BlockImage",
            ["HostOS", "CLinux", "CZlib", "CZstd", "CBzip2", "CLZMA", "CCrypto", "TLS", "JSON", system]),
        library("Network", ["HostOS", "CSlirp", "CLinux", "Log"]),
        library("CharacterBackend", ["HostOS", "CLinux", "Log", "DeviceModel", system]),
        library("Firmware", ["GuestMemory", "DeviceModel"]),
        library("FileSharing", ["HostOS", "CLinux", system]),
        library("Display", ["CEngine", "CZlib", "HostOS"]),
        library("VNC", ["Display", "HostOS", "Log", "CZlib", "CTurboJPEG"]),
        library("SPICE", ["Display", "CharacterBackend", "DeviceModel", "HostOS", "Log", "TLS", "CCrypto"]),
        library("Curses", ["Display", "HostOS"]),
        library(
            "Devices",
            [
                "CEngine", "DeviceModel", "GuestMemory", "VirtQueue", "BlockImage", "Network", "CharacterBackend",
                "HostOS", "Log", "Display", "FileSharing",
            ]),

        library("ImageTool", ["BlockImage", "HostOS", "CLinux", "TLS", "JSON", system]),

        // Machine
        library(
            "Machine",
            [
                "CEngine", "HostOS", "Log", "JSON", "GuestMemory", "X86", "Execution", "LocalAPIC",
                "KVMEngine", "TranslatorEngine", "DeviceModel", "MachineState", "BlockImage", "TLS", "Network",
                "CharacterBackend", "Firmware", "Devices", "Display", "VNC", "SPICE", "Curses",
                "FileSharing",
            ]),
        library(
            "MachineControl",
            [
                "JSON", "Log", "HostOS", "CharacterBackend", "FileSharing", "Machine", "X86", "Execution",
                "DeviceModel",
                "VNC", "SPICE",
            ]),

        // Management
        library("DomainModel"),
        library("DomainCommandLine", ["DomainModel", "HostOS", "JSON"]),
        library("RPCWire", ["HostOS", "SASL", "TLS", system]),
        library(
            "Daemon",
            [
                "RPCWire", "DomainModel", "DomainCommandLine", "NetworkSwitch", "HostOS", "SASL", "TLS", "JSON", "Log",
                system,
            ]),

        library("NetworkSwitch", ["Network", "DomainModel", "HostOS", "JSON", "Log"]),

        library("LibvirtClient", ["RPCWire", "HostOS", "SASL", "TLS", system]),
        library("VirshTool", ["LibvirtClient", "RPCWire", "DomainModel", "JSON", "HostOS", "SASL", "CLinux", system]),

        library("HostCheck", ["CLinux", "HostOS", "JSON", "KVMEngine", "Machine"]),

        // Top
        .executableTarget(
            name: "apus-vmm", dependencies: ["HostOS", "MachineControl", "HostCheck"], swiftSettings: strict),
        .executableTarget(
            name: "apus", dependencies: ["HostOS", "Daemon", "NetworkSwitch", "VirshTool"], swiftSettings: strict),
        // Its own copy of the runtime, and of C++'s: it starts faster and takes less memory than with the shared ones.
        .executableTarget(
            name: "apus-img", dependencies: ["ImageTool"], swiftSettings: strict,
            linkerSettings: [
                .unsafeFlags([
                    "-static-stdlib", "-use-ld=lld", "-L\(Context.packageDirectory)/Scripts/link",
                    "-Xclang-linker", "-static-libgcc",
                    // Half a megabyte of relocations less to read.
                    "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
                    // Nothing looks for its functions by name, so those that nobody calls may go.
                    "-Xlinker", "--no-export-dynamic",
                    // What every run needs first lies side by side: three megabytes less are read.
                    "-Xlinker", "--symbol-ordering-file=\(Context.packageDirectory)/Scripts/link/startup.order",
                    "-Xlinker", "--no-warn-symbol-ordering",
                ])
            ]),

        // Tests
        .target(
            name: "GuestPrograms", dependencies: ["CEngine", "Execution", "GuestMemory", "HostOS"],
            path: "Tests/GuestPrograms", swiftSettings: strict),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        .target(
            name: "DisplaySupport", dependencies: ["Display", "HostOS"], path: "Tests/DisplaySupport",
            swiftSettings: strict),
        tests("JSON"),
        tests("HostOS", ["Log", "CLinux"]),
        tests("GuestMemory"),
        tests("X86"),
        tests("LocalAPIC", ["CEngine"]),
        tests(
            "KVMEngine",
            ["GuestPrograms", "TranslatorEngine", "CEngine", "CLinux", "X86", "Execution", "GuestMemory", "HostOS"]),
        tests("TranslatorEngine", ["GuestPrograms", "CEngine", "X86", "Execution", "GuestMemory", "HostOS"]),
        tests("DeviceModel", ["GuestMemory"]),
        tests("MachineState", ["DeviceModel"]),
        tests("VirtQueue", ["GuestMemory"]),
        tests("BlockImage", ["HostOS", "CLinux", system]),
        tests("ImageTool", ["BlockImage", "HostOS", "CLinux"]),
        tests("Network", ["HostOS"]),
        tests("CharacterBackend", ["HostOS", "DeviceModel"]),
        tests("Firmware", ["GuestMemory", "DeviceModel"]),
        tests("FileSharing", ["HostOS", "CLinux"]),
        tests("Display", ["CZlib"]),
        tests("Curses", ["Display", "HostOS"]),
        tests("VNC", ["Display", "DisplaySupport", "HostOS", "CZlib"]),
        tests("SPICE", ["Display", "DisplaySupport", "HostOS", "DeviceModel", "CharacterBackend"]),
        tests(
            "Devices",
            [
                "Display", "DeviceModel", "GuestMemory", "VirtQueue", "BlockImage", "Network", "HostOS", "FileSharing",
            ]),
        tests(
            "Machine",
            [
                "KVMEngine", "MachineState", "CEngine", "HostOS", "JSON", "GuestMemory", "Execution", "DeviceModel",
                "MachineControl", "BlockImage", "VirtQueue",
            ]),
        tests("MachineControl", ["FileSharing", "JSON"]),
        tests("HostCheck"),
        tests("DomainModel"),
        tests("DomainCommandLine", ["DomainModel", "JSON"]),
        tests("NetworkSwitch", ["Network", "DomainModel", "HostOS", "JSON"]),
        tests("RPCWire", ["HostOS"]),
        tests("Daemon", ["RPCWire", "HostOS", "SASL", "VNC"]),
        tests("LibvirtClient", ["RPCWire", "HostOS", "SASL"]),
        tests("VirshTool", ["HostOS", "RPCWire", "LibvirtClient"]),
        .testTarget(name: "ArchitectureTests", dependencies: ["TestSupport"], swiftSettings: strict),
        .testTarget(name: "IntegrationTests", dependencies: ["TestSupport", "Display"], swiftSettings: strict),
    ]
)
