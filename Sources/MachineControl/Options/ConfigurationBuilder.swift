internal import JSON
internal import Machine

/// A configuration in the making, with what only matters until the last option is read.
struct ConfigurationBuilder {
    var configuration = MachineConfiguration()
    /// Lines for the user that stop nothing.
    var warnings: [String] = []
    /// The option at work, for messages: `-smp 2`.
    var origin = ""

    var machineAccelerators: [AcceleratorConfiguration]?
    var accelerators: [AcceleratorConfiguration] = []
    /// Engines that there are none of, with the option: wrong unless others are named too.
    var unknownAccelerators: [(origin: String, error: OptionError)] = []
    /// Board properties by name, to be checked against the board when it is known.
    var boardProperties: [String] = []
    var boardOrigin = ""
    var topologyOrigin = "-smp"
    /// The `-m` that said how much guest memory there is, or nil.
    var memoryOrigin: String?
    /// What each `-numa` says, with the option.
    var numaRequests: [(values: JSONObject, origin: String)] = []

    var noDefaults = false
    var noGraphic = false
    var hasSerial = false
    var hasParallel = false
    var hasMonitor = false
    var hasNetwork = false
    var hasDisplay = false
    var hasGraphics = false
    var snapshotsAll = false

    /// What makes it a child of the machine that the other options are of; the last counts.
    var fork: ForkedIdentity?
    var driveRequests: [DriveRequest] = []
    /// `-net nic` cards, to be joined with `-net user`.
    var legacyNICs: [NICConfiguration] = []
    var legacyNetworks: [String] = []
    var monitorCount = 0

    /// A drive as an option says it, until the board is known.
    struct DriveRequest {
        var values: JSONObject
        var fileOptions = JSONObject()
        var origin: String
        var isPositional = false
    }

    init(program: String) {
        configuration.program = program
        // /usr/bin/qemu-kvm and a link of another name in front of it are the same program.
        switch program {
        case "qemu-kvm", "kvm":
            configuration.accelerators = [
                AcceleratorConfiguration(kind: .kvm), AcceleratorConfiguration(kind: .translator),
            ]
        case let name where name.hasPrefix("qemu-system-"):
            configuration.accelerators = [AcceleratorConfiguration(kind: .translator)]
        default: configuration.accelerators = [AcceleratorConfiguration(kind: .automatic)]
        }
    }

    mutating func warn(_ text: String) { warnings.append(origin.isEmpty ? text : "\(origin): \(text)") }
}
