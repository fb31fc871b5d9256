/// The plan of the house: what each target may import. `Package.swift` says the same to the compiler; this list is
/// here so that an arrow is never added in passing. Targets stand from the ground up, and depend only on those above
/// them in this list: so there is no cycle, and no floor rests on a higher one.
enum Floors {
    struct Target {
        let name: String
        let dependencies: Set<String>
    }

    struct Floor {
        let name: String
        let targets: [Target]
    }

    private static func target(_ name: String, _ dependencies: String = "") -> Target {
        Target(name: name, dependencies: Set(dependencies.split(separator: " ").map(String.init)))
    }

    static let all: [Floor] = [
        Floor(
            name: "ground",
            targets: [
                target("CLinux"),
                target("CSlirp"),
                target("CZlib"),
                target("CZstd"),
                target("CBzip2"),
                target("CLZMA"),
                target("CCrypto"),
                target("CTurboJPEG"),
                target("CSASL"),
                target("CEngine"),
                target("HostOS", "CLinux SystemPackage"),
                target("JSON"),
                target("Log", "HostOS"),
                target("TLS", "CCrypto CLinux HostOS SystemPackage"),
                target("SASL", "CSASL HostOS"),
            ]),
        Floor(
            name: "memory",
            targets: [
                target("GuestMemory", "CEngine HostOS")
            ]),
        Floor(
            name: "processor",
            targets: [
                target("X86"),
                target("Execution"),
                target("LocalAPIC", "CEngine"),
                target("KVMEngine", "CEngine CLinux HostOS GuestMemory X86 Execution LocalAPIC SystemPackage"),
                target("TranslatorEngine", "CEngine HostOS GuestMemory X86 Execution LocalAPIC SystemPackage"),
            ]),
        Floor(
            name: "device",
            targets: [
                target("DeviceModel", "GuestMemory"),
                target("MachineState", "DeviceModel"),
                target("VirtQueue", "GuestMemory CEngine"),
                target("BlockImage", "HostOS CLinux CZlib CZstd CBzip2 CLZMA CCrypto TLS JSON SystemPackage"),
                target("Network", "HostOS CSlirp CLinux Log"),
                target("CharacterBackend", "HostOS CLinux Log DeviceModel SystemPackage"),
                target("Firmware", "GuestMemory DeviceModel"),
                target("FileSharing", "HostOS CLinux SystemPackage"),
                target("Display", "CEngine CZlib HostOS"),
                target("VNC", "Display HostOS Log CZlib CTurboJPEG"),
                target("SPICE", "Display CharacterBackend DeviceModel HostOS Log TLS CCrypto"),
                target("Curses", "Display HostOS"),
                target(
                    "Devices",
                    """
                    CEngine DeviceModel GuestMemory VirtQueue BlockImage Network CharacterBackend HostOS Log Display \
                    FileSharing
                    """),
                target("ImageTool", "BlockImage HostOS CLinux TLS JSON SystemPackage"),
            ]),
        Floor(
            name: "machine",
            targets: [
                target(
                    "Machine",
                    """
                    CEngine HostOS Log JSON GuestMemory X86 Execution LocalAPIC KVMEngine TranslatorEngine \
                    DeviceModel MachineState BlockImage TLS Network CharacterBackend Firmware Devices Display VNC SPICE \
                    Curses FileSharing
                    """),
                target("HostCheck", "CLinux HostOS JSON KVMEngine Machine"),
                target(
                    "MachineControl",
                    "JSON Log HostOS CharacterBackend FileSharing Machine X86 Execution DeviceModel VNC SPICE"),
            ]),
        Floor(
            name: "management",
            targets: [
                target("DomainModel"),
                target("DomainCommandLine", "DomainModel HostOS JSON"),
                target("RPCWire", "HostOS SASL TLS SystemPackage"),
                target("NetworkSwitch", "Network DomainModel HostOS JSON Log"),
                target("LibvirtClient", "RPCWire HostOS SASL TLS SystemPackage"),
                target("VirshTool", "LibvirtClient RPCWire DomainModel JSON HostOS SASL CLinux SystemPackage"),
                target(
                    "Daemon",
                    "RPCWire DomainModel DomainCommandLine NetworkSwitch HostOS SASL TLS JSON Log SystemPackage"),
            ]),
        Floor(
            name: "top",
            targets: [
                target("apus-vmm", "HostOS MachineControl HostCheck"),
                target("apus-img", "ImageTool"),
                target("apus", "HostOS Daemon NetworkSwitch VirshTool"),
            ]),
    ]

    static let targets = all.flatMap(\.targets)

    /// What several test targets share. It lives in `Tests`, and no program depends on it.
    static let testSupport = [
        target("GuestPrograms", "CEngine Execution GuestMemory HostOS"), target("TestSupport", ""),
        target("DisplaySupport", "Display HostOS"),
    ]

    /// Modules of the toolchain that any target may use.
    static let toolchain: Set<String> = ["Swift", "Synchronization"]

    /// Modules of other packages.
    static let external: Set<String> = ["SystemPackage"]
}
