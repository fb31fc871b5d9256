public import JSON

/// A model of device as the table of devices has it: what `-device help` and `-device X,help` print, what
/// `device-list-properties` returns, and what properties are checked against.
public struct DeviceDescription: Sendable {
    /// What a device is for; the sections of `-device help`.
    public enum Category: String, CaseIterable, Sendable {
        /// Bridges and ports to further buses.
        case bridge = "Controller/Bridge/Hub devices"
        /// USB controllers and hubs.
        case usb = "USB devices"
        /// Disks and their controllers.
        case storage = "Storage devices"
        /// Network cards.
        case network = "Network devices"
        /// Consoles and keyboards.
        case input = "Input devices"
        /// Graphics adapters.
        case display = "Display devices"
        /// Sound cards.
        case sound = "Sound devices"
        /// The rest.
        case misc = "Misc devices"
        /// What resets a machine that hangs.
        case watchdog = "Watchdog devices"
    }
    /// The model's name.
    public let name: String
    /// A shorter name, or nil.
    public let alias: String?
    /// The kind of bus: `PCI`, `ISA`, `IDE`, `virtio-bus`, `virtio-serial-bus`.
    public let bus: String
    /// What it is for.
    public let category: Category
    /// What it is, in a few words.
    public let summary: String
    /// Its properties, by name.
    public let properties: [DeviceProperty]

    init(
        _ name: String, alias: String? = nil, bus: String, _ category: Category, _ summary: String,
        _ properties: [[DeviceProperty]]
    ) {
        self.name = name
        self.alias = alias
        self.bus = bus
        self.category = category
        self.summary = summary
        // Of two properties of one name the later list's counts, so that a model can change a common default.
        var places: [String: Int] = [:]
        var all: [DeviceProperty] = []
        for property in properties.joined() {
            if let place = places[property.name] {
                all[place] = property
            } else {
                places[property.name] = all.count
                all.append(property)
            }
        }
        self.properties = all.sorted { $0.name < $1.name }
    }

    /// The property of a name, or nil.
    public func property(_ name: String) -> DeviceProperty? { properties.first { $0.name == name } }
}

/// A property of a model of device.
public struct DeviceProperty: Sendable {
    /// What values it takes.
    public enum Kind: Equatable, Sendable {
        /// `on` or `off`.
        case bool
        /// A number of so many bits.
        case unsigned(bits: Int)
        /// A signed number of 32 bits.
        case int32
        /// Bytes, with a suffix.
        case size
        /// Any text.
        case string
        /// `on`, `off` or `auto`.
        case onOffAuto
        /// A slot and function of PCI: `06.0`, `6`.
        case pciAddress
        /// Six bytes in hexadecimal with colons.
        case macAddress
        /// The name of a drive or block node.
        case drive
        /// The name of a network back-end.
        case network
        /// The name of a character back-end.
        case characterDevice
        /// The name of an object of a type.
        case object(String)
        /// One of these words, under a type name.
        case choice(String, [String])

        /// The name that clients see.
        public var typeName: String {
            switch self {
            case .bool: "bool"
            case .unsigned(let bits): "uint\(bits)"
            case .int32, .pciAddress: "int32"
            case .size: "size"
            case .string, .macAddress, .drive, .network, .characterDevice: "str"
            case .onOffAuto: "OnOffAuto"
            case .object(let type): "link<\(type)>"
            case .choice(let name, _): name
            }
        }
    }
    /// Its name.
    public let name: String
    /// What values it takes.
    public let kind: Kind
    /// The value where none is given, or nil.
    public let defaultValue: JSONValue?
    /// What it means; may be empty.
    public let help: String

    init(_ name: String, _ kind: Kind, _ defaultValue: JSONValue? = nil, _ help: String = "") {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.help = help.isEmpty ? Self.commonHelp(kind) : help
    }

    private static func commonHelp(_ kind: Kind) -> String {
        switch kind {
        case .bool: "on/off"
        case .onOffAuto: "on/off/auto"
        case .pciAddress: "Slot and function number, example: 06.0 or 06"
        case .macAddress: "MAC address, example: 52:54:00:12:34:56"
        case .drive: "Name of a drive or block node"
        case .network: "Name of a network back-end"
        case .characterDevice: "Name of a character back-end"
        case .choice(_, let words): words.joined(separator: "/")
        default: ""
        }
    }

    /// What would have fit, for an error.
    public var expectation: String {
        switch kind {
        case .bool: "'on' or 'off'"
        case .unsigned(let bits): "a number of \(bits) bits"
        case .int32: "a signed number of 32 bits"
        case .size: "a size, such as 64K or 1M"
        case .string, .drive, .network, .characterDevice, .object: "a name"
        case .onOffAuto: "'on', 'off' or 'auto'"
        case .pciAddress: "a slot and function, such as 06.0"
        case .macAddress: "a MAC address, such as 52:54:00:12:34:56"
        case .choice(_, let words): "one of " + words.joined(separator: ", ")
        }
    }
}
