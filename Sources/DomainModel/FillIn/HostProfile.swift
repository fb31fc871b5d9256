/// What a definition is completed with: the programs and machine types of this host.
public struct HostProfile: Sendable {
    /// The processor architecture of a domain that names none.
    public var arch: String
    /// The program that runs a machine, by architecture.
    public var emulators: [String: String]
    /// The machine type of a domain that names none, by architecture.
    public var defaultMachines: [String: String]
    /// The full name behind a short one: `pc` is `pc-i440fx-7.2`.
    public var machineAliases: [String: String]
    /// Every machine type by its full name; empty takes any.
    public var machines: Set<String>
    /// The processor model of a domain that names none, by architecture.
    public var defaultCPUModels: [String: String]
    /// Whether machines of type `kvm` can be had.
    public var offersKVM: Bool
    /// Where variables of firmware are kept that the definition gives no place; nil: such definitions stay as they are.
    public var variablesFolder: String?

    public init(
        arch: String = "x86_64", emulators: [String: String], defaultMachines: [String: String] = ["x86_64": "pc"],
        machineAliases: [String: String], machines: Set<String> = [],
        defaultCPUModels: [String: String] = ["x86_64": "qemu64", "i686": "qemu32"], offersKVM: Bool = true,
        variablesFolder: String? = nil
    ) {
        self.arch = arch
        self.emulators = emulators
        self.defaultMachines = defaultMachines
        self.machineAliases = machineAliases
        self.machines = machines
        self.defaultCPUModels = defaultCPUModels
        self.offersKVM = offersKVM
        self.variablesFolder = variablesFolder
    }

    /// Machine types as of QEMU 7.2, with one program for x86.
    public static func x86(emulator: String, version: String = "7.2") -> HostProfile {
        HostProfile(
            emulators: ["x86_64": emulator, "i686": emulator],
            defaultMachines: ["x86_64": "pc", "i686": "pc"],
            machineAliases: ["pc": "pc-i440fx-\(version)", "q35": "pc-q35-\(version)"])
    }
}

/// The chipset of a machine type, which decides what stands where.
public enum Chipset: Equatable, Sendable {
    case i440fx, q35, isa, microvm, other

    public init(machine: String) {
        if machine == "pc" || machine.hasPrefix("pc-i440fx") || machine.hasPrefix("pc-0") || machine.hasPrefix("pc-1") {
            self = .i440fx
        } else if machine == "q35" || machine.hasPrefix("pc-q35") {
            self = .q35
        } else if machine == "isapc" {
            self = .isa
        } else if machine.hasPrefix("microvm") {
            self = .microvm
        } else {
            self = .other
        }
    }
}

extension Domain {
    /// The chipset of the domain's machine type.
    public var chipset: Chipset { Chipset(machine: os.machine ?? "") }
}
